//! Reading everything about a Canary again, from the API server and not from a cache: nothing is ever done
//! on what a watch once said.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Pod,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde_json::Value;

use super::{
    cluster_api::Cluster,
    request::{Error, ask},
};
use crate::{
    flagger::{canary::Canary, snapshot::Snapshot, workload::Workload},
    rollout::{
        pods::{PodSeen, counts},
        saved_status::SavedStatus,
    },
};

/// Reads everything about a Canary, and what it targeted when `saved` was found, if that is something else.
///
/// # Errors
/// The API server did not answer, or the Canary is gone.
pub async fn read(cluster: &Cluster, canary: &Canary, saved: Option<&SavedStatus>) -> Result<Snapshot, Error> {
    // The Canary first: a target read before it could belong to an earlier revision.
    let canary = read_canary(cluster, canary).await?;
    let (kind, namespace) = (canary.spec.target.kind.as_str(), canary.namespace());
    let primary_name = canary.primary_name();
    let (target, primary) = tokio::try_join!(
        workload(cluster, kind, namespace, &canary.spec.target.name),
        workload(cluster, kind, namespace, &primary_name),
    )?;
    let pods = match &target {
        Some((target, _)) => match pods(cluster, target).await {
            Ok(pods) => Some(pods),
            Err(error) => {
                let name = canary.name();
                tracing::warn!(namespace, name, %error, "judging without the target's pods");
                None
            }
        },
        None => Some(Vec::new()),
    };
    let former_target = match saved.and_then(|saved| saved.former_target(&canary.spec.target.name)) {
        Some(name) => workload(cluster, "Deployment", namespace, name).await?,
        None => None,
    };
    let last_event = cluster.watches.signs.last(&canary);
    Ok(Snapshot {
        canary,
        target,
        primary,
        former_target: former_target.map(|(_, object)| object),
        last_event,
        canaries: cluster.watches.canaries.len(),
        pods,
    })
}

/// Reads a Canary.
///
/// # Errors
/// The API server did not answer, or the Canary is gone; another one of its name is not the same.
pub async fn read_canary(cluster: &Cluster, canary: &Canary) -> Result<Canary, Error> {
    let canaries: Api<Canary> = Api::namespaced(cluster.client.clone(), canary.namespace());
    ask("read the Canary", canaries.get_opt(canary.name()))
        .await?
        .filter(|found| found.metadata.uid == canary.metadata.uid)
        .ok_or(Error::Gone)
}

/// Reads the pods of a workload.
///
/// # Errors
/// The API server did not answer.
pub async fn pods(cluster: &Cluster, workload: &Workload) -> Result<Vec<PodSeen>, Error> {
    let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let found = ask(
        "list the target's pods",
        pods.list(&ListParams::default().labels(&workload.selector)),
    )
    .await?;
    Ok(found
        .items
        .iter()
        .filter(|pod| counts(pod))
        .map(PodSeen::from)
        .collect())
}

/// Reads a workload, distilled and as it is.
///
/// # Errors
/// The API server did not answer.
pub async fn workload(
    cluster: &Cluster,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<(Workload, Value)>, Error> {
    let (resource, distil): (_, fn(&Value) -> Workload) = match kind {
        "Deployment" => (ApiResource::erase::<Deployment>(&()), Workload::deployment),
        "DaemonSet" => (ApiResource::erase::<DaemonSet>(&()), Workload::daemon_set),
        _ => return Ok(None),
    };
    let objects: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &resource);
    let found = ask("read the workload", objects.get_opt(name)).await?;
    Ok(found
        .and_then(|object| serde_json::to_value(object).ok())
        .map(|object| (distil(&object), object)))
}
