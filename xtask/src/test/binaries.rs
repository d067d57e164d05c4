//! The tests of the workspace as programs: compiled once, by one Cargo, and run from where Cargo would run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use serde_json::Value;

use crate::{child, curfew};

/// What kind of tests a program holds: each is a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Beside the code.
    Unit,
    /// `tests/`: tables, recordings, the binary on files.
    Integration,
    /// The real enforcer against a scripted API server: they wait much and work little.
    Faults,
    /// Every order of events, explored.
    Model,
    /// Stories on real control planes.
    EndToEnd,
    /// The plane's own tests.
    Plane,
}

/// One program that holds tests.
#[derive(Debug, Eq, PartialEq)]
pub struct Binary {
    /// The name of its file or library.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    path: PathBuf,
    folder: PathBuf,
}

/// All programs that hold tests, and the Curfew that they run.
#[derive(Debug, Default)]
pub struct Binaries {
    /// In Cargo's order.
    pub tests: Vec<Binary>,
    curfew: PathBuf,
}

// === impl Kind ===

impl Kind {
    /// What a target of Cargo's holds.
    fn of(package: &str, kind: &str, name: &str) -> Self {
        match (package, kind, name) {
            (_, "test", "e2e") => Self::EndToEnd,
            (_, "test", "faults") => Self::Faults,
            (_, "test", "model") => Self::Model,
            ("testbed" | "xtask", "test", _) => Self::Plane,
            (_, "test", _) => Self::Integration,
            _ => Self::Unit,
        }
    }

    /// How many tests of such a program run at the same time; Cargo's own number when `None`.
    pub const fn threads(self) -> Option<&'static str> {
        match self {
            Self::Unit | Self::Integration | Self::Model => None,
            Self::Plane => Some("4"),
            Self::Faults => Some("64"),
            // Each story waits for its turn by itself (tests/e2e/planes.rs).
            Self::EndToEnd => Some("256"),
        }
    }

    /// Whether its tests start planes, for which a machine may lack the tools.
    pub const fn has_planes(self) -> bool {
        matches!(self, Self::EndToEnd | Self::Plane)
    }
}

// === impl Binary ===

impl Binary {
    /// A command that runs it as Cargo would, with the `curfew` that was built with it.
    pub fn command(&self, binaries: &Binaries) -> Command {
        let mut command = Command::new(&self.path);
        curfew::without_cargos_variables(&mut command);
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .env("CURFEW_BIN", &binaries.curfew)
            .stdin(Stdio::null());
        if let Some(threads) = self.kind.threads() {
            command.args(["--test-threads", threads]);
        }
        command
    }
}

// === impl Binaries ===

impl Binaries {
    /// Compiles everything; `None` when it does not compile, which Cargo has said.
    ///
    /// # Errors
    /// When Cargo cannot be run.
    pub fn build() -> Result<Option<Self>> {
        let mut command = curfew::cargo();
        command
            .args(["test", "--locked", "--workspace", "--all-targets", "--no-run"])
            .arg("--message-format=json-render-diagnostics")
            .stdin(Stdio::null());
        let (status, messages) = child::read(command)?;
        if !status.success() {
            return Ok(None);
        }
        let mut binaries = Self::default();
        messages.lines().for_each(|message| binaries.read(message));
        if let Some(given) = std::env::var_os("CURFEW_BIN") {
            binaries.curfew = given.into();
        }
        anyhow::ensure!(
            !binaries.curfew.as_os_str().is_empty(),
            "cargo built the tests, but did not say where the curfew binary is that they run"
        );
        Ok(Some(binaries))
    }

    /// Reads one of Cargo's messages.
    fn read(&mut self, message: &str) {
        let Ok(message) = serde_json::from_str::<Value>(message) else {
            return;
        };
        let (Some(path), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str()) else {
            return;
        };
        if message["profile"]["test"] != true {
            if name == "curfew" {
                self.curfew = path.into();
            }
            return;
        }
        let folder = Path::new(message["manifest_path"].as_str().unwrap_or_default()).parent();
        let folder = folder.unwrap_or(Path::new("."));
        let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
        self.tests.push(Binary {
            name: name.to_owned(),
            kind: Kind::of(package(message["package_id"].as_str().unwrap_or_default()), kind, name),
            path: path.into(),
            folder: folder.to_owned(),
        });
    }

    /// The programs of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Binary> {
        self.tests.iter().filter(move |binary| binary.kind == kind)
    }
}

/// Why planes cannot start here.
///
/// # Errors
/// When that cannot be found out.
pub fn obstacle() -> Result<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(testbed::obstacle()))
}

/// The name of the package of an id of Cargo's: `path+file:///FOLDER/NAME#VERSION`, or `path+file:///FOLDER#NAME@VERSION`
/// where the folder has another name.
fn package(id: &str) -> &str {
    let (path, version) = id.rsplit_once('#').unwrap_or((id, ""));
    match version.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_cargos_messages() {
        let artifact = |manifest: &str, kind: &str, name: &str, test: bool, executable: Option<&str>| {
            let id = match manifest {
                // A checkout may have any name, that of a member too.
                "/testbed/Cargo.toml" => "path+file:///testbed#canary-curfew@0.1.0",
                _ => "path+file:///testbed/testbed#0.1.0",
            };
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": manifest, "package_id": id,
                "target": {"kind": [kind], "name": name}, "profile": {"test": test}, "executable": executable,
            })
            .to_string()
        };
        let mut found = Binaries::default();
        for message in [
            artifact("/testbed/Cargo.toml", "lib", "curfew", false, None),
            artifact("/testbed/Cargo.toml", "lib", "curfew", true, Some("/t/deps/curfew-1")),
            artifact("/testbed/Cargo.toml", "bin", "curfew", false, Some("/t/curfew")),
            artifact("/testbed/Cargo.toml", "test", "e2e", true, Some("/t/deps/e2e-1")),
            artifact(
                "/testbed/Cargo.toml",
                "test",
                "scenarios",
                true,
                Some("/t/deps/scenarios-1"),
            ),
            artifact(
                "/testbed/testbed/Cargo.toml",
                "test",
                "plane",
                true,
                Some("/t/deps/plane-1"),
            ),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "not a message".to_owned(),
        ] {
            found.read(&message);
        }
        assert_eq!(found.curfew, Path::new("/t/curfew"));
        let kinds: Vec<_> = found.tests.iter().map(|test| (test.name.as_str(), test.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("curfew", Kind::Unit),
                ("e2e", Kind::EndToEnd),
                ("scenarios", Kind::Integration),
                ("plane", Kind::Plane),
            ]
        );
        assert_eq!(found.tests[3].folder, Path::new("/testbed/testbed"));
    }
}
