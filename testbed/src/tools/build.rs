//! Building the tools with Go, with progress on standard error.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::process::Command;

use super::{crds, tool::Tool};
use crate::{
    guardian::Guardian,
    process::{Launch, Process, last_lines},
    versions::{KUBERNETES, Kubernetes},
};

/// Flagger refuses an API server whose version it cannot parse, hence the linker's flags.
pub(super) fn flags() -> [String; 4] {
    let newest = Kubernetes::NEWEST.to_string();
    let (major, minor) = newest.split_once('.').unwrap_or_default();
    let version = "-X k8s.io/component-base/version";
    [
        "-mod=readonly".to_owned(),
        "-trimpath".to_owned(),
        "-ldflags".to_owned(),
        format!("-s -w {version}.gitVersion=v{KUBERNETES} {version}.gitMajor={major} {version}.gitMinor={minor}"),
    ]
}

/// Without GOTOOLCHAIN=local an old Go would download a new one, which needs a network and says nothing.
const ENV: [(&str, &str); 3] = [("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local"), ("GOWORK", "off")];

/// How often a long build says that it is still running.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Builds `missing` and the CRDs into `cache`.
pub(super) async fn build(module: &Path, cache: &Path, missing: &[Tool]) -> Result<()> {
    check_go(module).await?;
    clean(cache)?;
    eprintln!(
        "plane: building the control plane into {}, once (about eight minutes on two cores)",
        cache.display()
    );
    let guardian = Arc::new(Guardian::start()?);
    for tool in missing {
        let name = tool.name();
        let temporary = cache.join(format!(".{name}.{}", std::process::id()));
        let mut args: Vec<String> = flags().to_vec();
        args.extend([
            "-o".to_owned(),
            temporary.display().to_string(),
            tool.package().to_owned(),
        ]);
        go(&guardian, module, cache, "build", args, name).await?;
        fs::rename(&temporary, cache.join(name)).with_context(|| format!("cannot move {name} into place"))?;
    }
    go(
        &guardian,
        module,
        cache,
        "mod",
        [&["download"], &crds::MODULES[..]].concat(),
        "the CRDs",
    )
    .await?;
    let mut dirs = Vec::new();
    for name in crds::MODULES {
        let output = command(module)
            .args(["list", "-m", "-f", "{{.Dir}}", name])
            .output()
            .await?;
        let dir = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || dir.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("cannot find the files of the Go module {name}: {}", said.trim());
        }
        dirs.push(dir);
    }
    crds::keep(cache, &dirs)
}

/// Runs one step of `go` and says how long it took.
async fn go(
    guardian: &Arc<Guardian>,
    module: &Path,
    cache: &Path,
    verb: &str,
    args: Vec<impl Into<String>>,
    what: &str,
) -> Result<()> {
    let started = Instant::now();
    let log = cache.join("build.log");
    let process = Process::start(
        Launch {
            name: format!("go {verb}"),
            program: "go".into(),
            args: std::iter::once(verb.to_owned())
                .chain(args.into_iter().map(Into::into))
                .collect(),
            env: ENV.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            dir: Some(module.to_owned()),
            log: log.clone(),
        },
        guardian,
    )?;
    eprintln!("plane: building {what} ...");
    let status = loop {
        match tokio::time::timeout(SIGN_OF_LIFE, process.wait()).await {
            Ok(status) => break status,
            Err(_) => eprintln!("plane: still building {what}, {} s", started.elapsed().as_secs()),
        }
    };
    if status.is_none_or(|status| !status.success()) {
        bail!("cannot build {what}{}", last_lines(&log));
    }
    eprintln!("plane: built {what} in {} s", started.elapsed().as_secs());
    Ok(())
}

fn command(module: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .envs(ENV)
        .current_dir(module)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The version after go.mod's `go`.
fn needed_go(module: &Path) -> Result<String> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let version = text.lines().find_map(|line| line.strip_prefix("go "));
    version
        .map(|version| version.trim().to_owned())
        .with_context(|| format!("{} has no go line", path.display()))
}

/// Removes what an interrupted build left behind. The lock says that no other build is under way.
fn clean(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether Go is there and new enough.
pub(super) async fn check_go(module: &Path) -> Result<()> {
    let needed = needed_go(module)?;
    let advice = format!("install Go {needed} or newer (https://go.dev/dl/) to build the plane's tools");
    // Outside the module: inside it an old Go refuses to say even its version.
    let output = command(Path::new("/")).args(["env", "GOVERSION"]).output().await;
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!("`go` is not on the PATH: {advice}"),
        _ => anyhow!("cannot run `go` ({error}): {advice}"),
    })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if version(&found) < version(&needed) {
        bail!("`go` is {}, which is too old: {advice}", found.trim_start_matches("go"));
    }
    Ok(())
}

/// `go1.26.8`, `1.26.0` and `go1.27rc1` as numbers; development versions count as new.
fn version(text: &str) -> (u32, u32, u32) {
    if text.starts_with("devel") {
        return (u32::MAX, 0, 0);
    }
    let mut parts = text.trim_start_matches("go").split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    (
        parts.next().unwrap_or(0),
        parts.next().unwrap_or(0),
        parts.next().unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_as_numbers() {
        assert!(version("go1.26.8") >= version("1.26.0"));
        assert!(version("go1.9.7") < version("1.26.0"));
        assert!(version("go1.27rc1 X:nocoverageredesign") > version("1.26.0"));
        assert!(version("devel go1.28-abcdef") > version("1.26.0"));
        assert!(version("") < version("1.26.0"));
    }

    #[test]
    fn the_pinned_module_says_which_go_it_needs() {
        assert!(version(&needed_go(Path::new(super::super::tool::MODULE)).unwrap()) >= (1, 26, 0));
    }
}
