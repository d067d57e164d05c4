//! Flagger: the real binary, and the Deployment by which it is found on a cluster.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    layout::{Layout, PortMap},
    pki::FLAGGER,
    process::{Launch, Process},
    tools::{Tool, Tools},
};

/// The version that `testbed/tools/go.mod` pins.
pub const VERSION: &str = "1.44.0";

/// The provider of Canaries that name none.
pub(crate) const PROVIDER: &str = "kubernetes";
/// The labels of which a target's selector must have one.
pub(crate) const SELECTOR_LABELS: &str = "app,name,app.kubernetes.io/name";

/// What Flagger logs when its informers are filled and its workers run.
const STARTED: &str = "Started operator workers";

pub(crate) fn launch(tools: &Tools, layout: &Layout, ports: &PortMap, extra: &[String]) -> Launch {
    let mut args = vec![
        format!("-kubeconfig={}", layout.kubeconfig(FLAGGER.file).display()),
        format!("-mesh-provider={PROVIDER}"),
        format!("-selector-labels={SELECTOR_LABELS}"),
        // How often it looks for new Canaries; a rollout's own interval cannot be under ten seconds.
        "-control-loop-interval=1s".to_owned(),
        // The discard port: no metrics server, and Flagger only says so once.
        "-metrics-server=http://127.0.0.1:9".to_owned(),
        format!("-port={}", ports.flagger),
        "-log-level=debug".to_owned(),
        // With as many Canaries as a plane may have, its looks would wait for each other for seconds.
        "-kubeconfig-qps=1000".to_owned(),
        "-kubeconfig-burst=2000".to_owned(),
    ];
    args.extend_from_slice(extra);
    Launch {
        name: "flagger".to_owned(),
        program: tools.path(Tool::Flagger),
        args,
        env: Vec::new(),
        dir: None,
        log: layout.log("flagger"),
    }
}

/// Whether it works on Canaries.
pub(crate) fn started(process: &Process) -> Result<bool> {
    process.check()?;
    Ok(process.output().contains(STARTED))
}

/// The Deployment that names Flagger's image. No container runs: the binary is a process beside the API server.
pub(crate) fn deployment() -> Value {
    let labels = json!({"app.kubernetes.io/name": "flagger"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "flagger", "namespace": "flagger-system", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [
                    {
                        "name": "flagger",
                        "image": format!("ghcr.io/fluxcd/flagger:{VERSION}"),
                        "args": [format!("-mesh-provider={PROVIDER}")],
                    },
                ]},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_image_is_the_pinned_version() {
        let module = include_str!("../tools/go.mod");
        assert!(module.contains(&format!("github.com/fluxcd/flagger v{}", super::VERSION)));
    }
}
