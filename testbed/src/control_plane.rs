//! etcd, kube-apiserver and kube-controller-manager: what each is started with.
//!
//! Everything listens on loopback. Durability is given up for speed: the data live as long as the plane.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use crate::{
    layout::{Layout, PortMap},
    pki::{CONTROLLER_MANAGER, Pki},
    process::Launch,
    tools::{Tool, Tools},
    versions::Kubernetes,
};

/// The controllers that Canaries and their targets need. `clusterrole-aggregation` fills the ClusterRole `edit`.
const CONTROLLERS: [&str; 8] = [
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "serviceaccount-controller",
];

pub(crate) fn etcd(tools: &Tools, layout: &Layout, ports: &PortMap) -> Launch {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let args = vec![
        format!("--data-dir={}", layout.etcd_data().display()),
        "--name=plane".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        // One member elects itself: no reason to wait a second for others. Shorter still would cost idle CPU.
        "--heartbeat-interval=50".to_owned(),
        "--election-timeout=500".to_owned(),
        "--quota-backend-bytes=4294967296".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=plane={peer}"),
    ];
    launch("etcd", tools.path(Tool::Etcd), args, layout)
}

pub(crate) fn api_server(
    tools: &Tools,
    layout: &Layout,
    ports: &PortMap,
    pki: &Pki,
    extra: &[String],
) -> Result<Launch> {
    let policy = layout.0.join("audit-policy.json");
    fs::write(&policy, audit_policy())?;
    let flag = |name: &str, path: PathBuf| format!("--{name}={}", path.display());
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        // Nobody looks for this server in the endpoints of `kubernetes`, which must not be on loopback.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        flag("client-ca-file", pki.file("ca.crt")),
        flag("tls-cert-file", pki.file("apiserver.crt")),
        flag("tls-private-key-file", pki.file("apiserver.key")),
        "--authorization-mode=RBAC".to_owned(),
        "--anonymous-auth=false".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        flag("service-account-key-file", pki.file("service-accounts.pub")),
        flag("service-account-signing-key-file", pki.file("service-accounts.key")),
        // It would demand a token for every pod; no pod of a plane ever runs.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        flag("audit-policy-file", policy),
        flag("audit-log-path", layout.audit_log()),
        "--profiling=false".to_owned(),
    ];
    args.extend_from_slice(extra);
    Ok(launch("kube-apiserver", tools.path(Tool::ApiServer), args, layout))
}

pub(crate) fn controller_manager(tools: &Tools, layout: &Layout, version: Kubernetes) -> Launch {
    let mut args = vec![
        format!("--kubeconfig={}", layout.kubeconfig(CONTROLLER_MANAGER.file).display()),
        format!("--controllers={}", CONTROLLERS.join(",")),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        // No listener: nobody asks it anything.
        "--secure-port=0".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        "--profiling=false".to_owned(),
    ];
    args.extend(version.flag());
    launch(
        "kube-controller-manager",
        tools.path(Tool::ControllerManager),
        args,
        layout,
    )
}

/// Who asked what, once per request: watches when they begin and when they end, everything else when it is answered.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": true,
        "rules": [{"level": "Metadata"}],
    })
    .to_string()
}

fn launch(name: &str, program: PathBuf, args: Vec<String>, layout: &Layout) -> Launch {
    Launch {
        name: name.to_owned(),
        program,
        args,
        env: Vec::new(),
        dir: None,
        log: layout.log(name),
    }
}
