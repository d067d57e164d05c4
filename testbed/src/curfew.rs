//! Curfew as a process outside the cluster, with the permissions that the deploy manifests grant and no others.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    flagger,
    layout::Layout,
    options::CurfewOptions,
    pki::CURFEW,
    plain_http,
    process::{Launch, Process},
};

/// The policy of a plane whose options name none.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policy.yaml");

pub(crate) fn launch(
    name: &str,
    options: &CurfewOptions,
    layout: &Layout,
    webhook_port: u16,
    admin_port: u16,
) -> Result<Launch> {
    let CurfewOptions {
        binary,
        policy,
        args: extra,
        env,
        unregistered,
    } = options;
    let program = match binary {
        Some(binary) => binary.clone(),
        None => find()?,
    };
    let policy = policy.as_deref().unwrap_or(Path::new(POLICY));
    let mut args = vec!["serve".to_owned()];
    if !unregistered {
        args.push("--register".to_owned());
    }
    args.extend([
        format!("--policy={}", policy.display()),
        format!("--webhook-addr=127.0.0.1:{webhook_port}"),
        format!("--admin-addr=127.0.0.1:{admin_port}"),
        "--namespace=curfew-system".to_owned(),
        "--log-format=json".to_owned(),
        // What an admin would tell it of the plane's Flagger.
        format!("--flagger-mesh-provider={}", flagger::PROVIDER),
        format!("--flagger-selector-labels={}", flagger::SELECTOR_LABELS),
    ]);
    args.extend_from_slice(extra);
    let kubeconfig = layout.kubeconfig(CURFEW.file).display().to_string();
    // The last one of a name is the one that holds: the options may name another way to the API server.
    let env = [("KUBECONFIG".to_owned(), kubeconfig)].into_iter().chain(env.clone());
    Ok(Launch {
        name: name.to_owned(),
        program,
        args,
        env: env.collect(),
        dir: None,
        log: layout.log(name),
    })
}

/// Whether it says that it is ready; fails when it has ended.
pub(crate) async fn ready(process: &Process, admin_port: u16) -> Result<bool> {
    process.check()?;
    Ok(plain_http::request("GET", admin_port, "/readyz")
        .await
        .is_ok_and(|(status, _)| status == 200))
}

/// `$CURFEW_BIN`, or the `curfew` beside this program or one folder up (where Cargo puts it for tests).
fn find() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("CURFEW_BIN") {
        return Ok(binary.into());
    }
    let program = std::env::current_exe()?;
    let beside = program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("curfew"))
        .find(|path| path.is_file());
    beside.context("the curfew binary is not built: `cargo build --bin curfew`, or set CURFEW_BIN")
}
