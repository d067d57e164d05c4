//! Reading everything about a Canary again, from the API server and not from a cache: nothing is ever done
//! on what a watch once said.

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Pod,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde_json::Value;

use super::{Context, Error, ask, flagger_health::evidence};
use crate::{
    deadline::{
        observe::{FlaggerEvidence, Objects},
        pods::PodSeen,
    },
    flagger::{
        canary::Canary,
        effective::Effective,
        ready::{Readiness, readiness},
        workload::Workload,
    },
};

/// Everything about a Canary, freshly read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The Canary.
    pub canary: Canary,
    /// Its target, distilled and as it is.
    pub target: Option<(Workload, Value)>,
    /// Its primary, distilled and as it is.
    pub primary: Option<(Workload, Value)>,
    /// The last Event that Flagger wrote about it, as far as the watch has seen.
    pub last_event: Option<Timestamp>,
    /// What is known of Flagger and the routes, if that was looked up.
    pub evidence: FlaggerEvidence,
    /// Its target's pods; none if they cannot be looked at.
    pub pods: Option<Vec<PodSeen>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Reads everything about a Canary.
    ///
    /// # Errors
    /// The API server did not answer, or the Canary is gone.
    pub async fn read(context: &Context, canary: &Canary) -> Result<Self, Error> {
        // The Canary first: a target read before it could belong to an earlier revision.
        let canary = read_canary(context, canary).await?;
        let (kind, namespace) = (canary.spec.target.kind.as_str(), canary.namespace());
        let primary_name = canary.primary_name();
        let (target, primary) = tokio::try_join!(
            workload(context, kind, namespace, &canary.spec.target.name),
            workload(context, kind, namespace, &primary_name),
        )?;
        let pods = match &target {
            Some((target, _)) => match pods(context, target).await {
                Ok(pods) => Some(pods),
                Err(error) => {
                    let name = canary.name();
                    tracing::warn!(namespace, name, %error, "judging without the target's pods");
                    None
                }
            },
            None => Some(Vec::new()),
        };
        let last_event = context.watches.signs.last(&canary);
        Ok(Self {
            canary,
            target,
            primary,
            last_event,
            evidence: evidence(context),
            pods,
        })
    }

    /// Whether the target is as ready as Flagger needs it.
    #[must_use]
    pub fn is_target_ready(&self) -> bool {
        let threshold = Effective::of(&self.canary).canary_ready_threshold;
        let target = self.target.as_ref();
        target.is_some_and(|(target, _)| readiness(target, threshold) == Readiness::Ready)
    }

    /// What there is to observe.
    #[must_use]
    pub fn objects(&self) -> Objects<'_> {
        Objects {
            canary: &self.canary,
            target: self.target.as_ref().map(|(workload, _)| workload),
            primary: self.primary.as_ref().map(|(workload, _)| workload),
            pods: self.pods.as_deref(),
            last_event: self.last_event,
            evidence: self.evidence,
        }
    }
}

/// Reads a Canary.
///
/// # Errors
/// The API server did not answer, or the Canary is gone; another one of its name is not the same.
pub async fn read_canary(context: &Context, canary: &Canary) -> Result<Canary, Error> {
    let canaries: Api<Canary> = Api::namespaced(context.client.clone(), canary.namespace());
    ask("read the Canary", canaries.get_opt(canary.name()))
        .await?
        .filter(|found| found.metadata.uid == canary.metadata.uid)
        .ok_or(Error::Gone)
}

/// Reads the pods of a workload.
///
/// # Errors
/// The API server did not answer.
pub async fn pods(context: &Context, workload: &Workload) -> Result<Vec<PodSeen>, Error> {
    let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
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

/// Whether a pod is one of those that its `ReplicaSet` counts: not on its way out, and not done with.
#[must_use]
pub fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

pub(super) async fn workload(
    context: &Context,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<(Workload, Value)>, Error> {
    let (resource, distil): (_, fn(&Value) -> Workload) = match kind {
        "Deployment" => (ApiResource::erase::<Deployment>(&()), Workload::deployment),
        "DaemonSet" => (ApiResource::erase::<DaemonSet>(&()), Workload::daemon_set),
        _ => return Ok(None),
    };
    let objects: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &resource);
    let found = ask("read the workload", objects.get_opt(name)).await?;
    Ok(found
        .and_then(|object| serde_json::to_value(object).ok())
        .map(|object| (distil(&object), object)))
}
