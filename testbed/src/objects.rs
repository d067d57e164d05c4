//! The objects that every plane has: namespaces, nodes, CRDs, permissions.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::{tools::documents, versions::KUBERNETES};

/// How often a condition is looked at while the plane starts.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// The repository's root, whose manifests are applied.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Curfew's own CRD, beside those of the tools.
const POLICIES: &str = "deploy/crds/canarypolicies.yaml";
/// As much of KEDA's as says what is scaled.
const SCALED_OBJECTS: &str = "testbed/scaledobjects.yaml";
const MANIFESTS: [&str; 3] = [
    "deploy/kustomize/namespace.yaml",
    "deploy/kustomize/rbac.yaml",
    "deploy/register/rbac.yaml",
];

const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// Applies one object, whatever its kind.
pub(crate) async fn apply(client: &Client, object: &Value) -> Result<()> {
    let parsed: DynamicObject = serde_json::from_value(object.clone()).context("not a Kubernetes object")?;
    let types = parsed.types.clone().unwrap_or_default();
    let name = parsed.name_any();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let api: Api<DynamicObject> = match parsed.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let applied = api
        .patch(&name, &PatchParams::apply("plane").force(), &Patch::Apply(object))
        .await;
    applied
        .map(drop)
        .with_context(|| format!("cannot apply {} {name}", types.kind))
}

/// Applies many objects at once.
pub(crate) async fn apply_all(client: &Client, objects: &[Value]) -> Result<()> {
    try_join_all(objects.iter().map(|object| apply(client, object)))
        .await
        .map(drop)
}

/// Everything but the CRDs: namespaces first, then what lives in them.
pub(crate) async fn install(client: &Client, workloads: &[Value]) -> Result<()> {
    let mut objects = vec![namespace("flagger-system"), namespace("tenant")];
    for manifest in MANIFESTS {
        objects.extend(read(manifest)?);
    }
    objects.extend(tenant());
    objects.extend_from_slice(workloads);
    let (namespaces, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object["kind"] == "Namespace");
    let placed = async {
        apply_all(client, &namespaces).await?;
        apply_all(client, &others).await
    };
    tokio::try_join!(placed, nodes(client)).map(drop)
}

/// The objects of a manifest of the repository.
fn read(manifest: &str) -> Result<Vec<Value>> {
    let path = Path::new(REPOSITORY).join(manifest);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    documents(&text).with_context(|| format!("cannot parse {}", path.display()))
}

/// Creates the CRDs, Curfew's own too, and waits until they are served.
pub(crate) async fn install_crds(client: &Client, crds: &[Value], scaled_objects: bool) -> Result<()> {
    let mut crds = crds.to_vec();
    for manifest in std::iter::once(POLICIES).chain(scaled_objects.then_some(SCALED_OBJECTS)) {
        crds.extend(read(manifest)?);
    }
    let crd = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&crd));
    // Created, not applied: keeping track of the owners of such large objects would take a second.
    try_join_all(crds.iter().map(|crd| async {
        let crd = serde_json::from_value(crd.clone())?;
        anyhow::Ok(api.create(&PostParams::default(), &crd).await?)
    }))
    .await
    .context("cannot create the CRDs")?;
    until("the CRDs", || async {
        let all = api.list(&kube::api::ListParams::default()).await?;
        let established = all.iter().filter(|crd| {
            let conditions = crd.data["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Established" && c["status"] == "True"))
        });
        Ok(established.count() >= crds.len())
    })
    .await
}

/// Looks every 50 ms until something is so.
pub(crate) async fn until<F: Future<Output = Result<bool>>>(what: &str, look: impl Fn() -> F) -> Result<()> {
    /// No start takes that long on any machine on which a plane is of use.
    const PATIENCE: Duration = Duration::from_mins(2);
    let waited = tokio::time::timeout(PATIENCE, async {
        while !look().await? {
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    });
    match waited.await {
        Ok(result) => result.with_context(|| format!("waiting for {what}")),
        Err(_) => bail!("waited {} s for {what} in vain", PATIENCE.as_secs()),
    }
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// What an application team has on a shared cluster: `edit` and Canaries in its own namespace.
fn tenant() -> [Value; 3] {
    let binding = |role: Value, name: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": "tenant"},
            "roleRef": role,
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tenant"}],
        })
    };
    let role = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "canaries", "namespace": "tenant"},
            "rules": [
                {"apiGroups": ["flagger.app"], "resources": ["canaries", "metrictemplates", "alertproviders"], "verbs": ["*"]},
                {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": ["*"]},
            ],
        }),
        binding(role("ClusterRole", "edit"), "edit"),
        binding(role("Role", "canaries"), "canaries"),
    ]
}

/// Three Ready nodes, which DaemonSets count.
async fn nodes(client: &Client) -> Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    for name in NODES {
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        });
        apply(client, &node).await?;
        // Admission taints every new node as not ready; on a cluster its controller takes that away.
        let untainted = Patch::Merge(json!({"spec": {"taints": null}}));
        api.patch(name, &PatchParams::default(), &untainted).await?;
        let capacity = json!({"cpu": "16", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "500"});
        let status = json!({"status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": node_info(),
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "the plane's stand-in for a kubelet is posting ready status",
            }],
        }});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await?;
    }
    Ok(())
}

fn node_info() -> Value {
    json!({
        "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": format!("v{KUBERNETES}"),
        "bootID": "", "containerRuntimeVersion": "plane://1", "kernelVersion": "", "kubeProxyVersion": "",
        "machineID": "", "osImage": "plane", "systemUUID": "",
    })
}

/// Waits until kube-controller-manager has put the rules of `edit` together: a tenant can do nothing before.
pub(crate) async fn aggregated(client: &Client) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    until("the ClusterRole edit", || async {
        let edit = roles.get_opt("edit").await?;
        Ok(edit.is_some_and(|role| role.rules.is_some_and(|rules| !rules.is_empty())))
    })
    .await
}
