//! The writes of a plan, one after the other.
//!
//! Every write carries the uid and the resource version of what was judged, so that it fails if anything changed since.
//! What it overwrites is kept before it is sent, since its answer may be lost.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};

use super::context::Context;
use crate::{
    cluster::{Error, FIELD_MANAGER, snapshot::workload},
    flagger::{canary::Canary, rollback_plan::put_back},
    rollout::{
        saved_status::SavedStatus,
        write::{Part, Write},
    },
};

/// After which times it is tried again to take a lever off the target of a Canary that is gone: at once after a conflict
/// with its controller, and for a few minutes in which the API server may be away.
const CLEAR_UP_AGAIN: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_mins(1),
    Duration::from_mins(2),
];

/// What came of the writes.
#[derive(Debug)]
pub struct Applied {
    /// When the first of them was answered.
    pub first: Option<Timestamp>,
    /// Whether all of them were made. With a conflict, something changed since it was judged.
    pub result: Result<(), Error>,
}

/// Makes the writes of a plan until one of them is refused. `saved` keeps what they overwrite.
pub async fn apply(context: &Context, plan: &[Write], saved: &mut Option<SavedStatus>) -> Applied {
    let mut first = None;
    for write in plan {
        let overwrites = &write.overwrites;
        if *overwrites != SavedStatus::default() {
            saved.get_or_insert_default().keep(overwrites);
        }
        let result = send(context, write).await;
        let at = context.cluster.now();
        if let Some(saved) = saved {
            saved.written(overwrites, at);
        }
        if result.is_err() {
            return Applied { first, result };
        }
        first.get_or_insert(at);
    }
    Applied { first, result: Ok(()) }
}

async fn send(context: &Context, write: &Write) -> Result<(), Error> {
    let (resource, subresource) = match write.part {
        Part::CanaryStatus => (ApiResource::erase::<Canary>(&()), Some("status")),
        Part::DeploymentConditions => (ApiResource::erase::<Deployment>(&()), Some("status")),
        Part::DeploymentScale => (ApiResource::erase::<Deployment>(&()), Some("scale")),
        Part::DaemonSetTemplate => (ApiResource::erase::<DaemonSet>(&()), None),
    };
    let objects: Api<DynamicObject> = Api::namespaced_with(context.cluster.client.clone(), &write.namespace, &resource);
    let params = PatchParams {
        dry_run: write.dry_run,
        ..PatchParams::apply(FIELD_MANAGER)
    };
    let (name, patch) = (write.name.as_str(), Patch::Merge(&write.patch));
    let answer = async {
        match subresource {
            Some(subresource) => objects.patch_subresource(subresource, name, &params, &patch).await,
            None => objects.patch(name, &params, &patch).await,
        }
    };
    context.cluster.write(write.part.action(), answer).await.map(|_| ())
}

/// Puts the condition back on a target whose Canary is gone.
async fn take_off(context: &Context, namespace: &str, saved: &SavedStatus) -> Result<(), Error> {
    let Some((name, _)) = &saved.progressing else {
        return Ok(());
    };
    let found = workload(&context.cluster, "Deployment", namespace, name).await?;
    match found.and_then(|(_, object)| put_back(&object, Some(saved), context.cluster.now())) {
        Some(write) => send(context, &write).await,
        None => Ok(()),
    }
}

/// Takes the levers off the targets of Canaries that are gone, whenever there is one. Never ends.
pub async fn clear_up(context: &Context) {
    loop {
        let (namespace, before) = context.states.next_left().await;
        for wait in CLEAR_UP_AGAIN {
            let Err(error) = take_off(context, &namespace, &before).await else {
                break;
            };
            tracing::warn!(namespace, %error, ?wait, "cannot take a lever off the target of a Canary that is gone");
            tokio::time::sleep(wait).await;
        }
    }
}
