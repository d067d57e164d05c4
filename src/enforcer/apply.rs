//! The levers: what Curfew writes so that Flagger rolls back by itself, and how it takes it back.
//!
//! Every write carries the uid and the resource version of what was judged, so that it fails if anything changed since.
//! After the levers the Canary is read once more: if its phase moved or another revision came, they are
//! withdrawn at once, since they are bound to neither (`docs/flagger.md#l9`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    conditions::{is_ours, progressing},
    context::Context,
    read::{read_canary, workload},
    request::{Error, FIELD_MANAGER},
    saved_status::SavedStatus,
    snapshot::Snapshot,
};
use crate::{
    deadline::{
        checks_ended_at,
        levers::{Levers, OURS, TargetLever},
        objects::Objects,
        revision::Revision,
        timestamps,
    },
    flagger::{
        canary::Canary,
        effective::Effective,
        phase::Phase,
        workload::{Kind, SCALE_TO_ZERO_SELECTOR, TemplateHash},
    },
};

/// How far beyond its deadline a transition is put back.
const BACKDATE_MARGIN: SignedDuration = SignedDuration::from_secs(2);

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

/// What came of applying the levers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// They are in place.
    InPlace,
    /// The Canary moved on meanwhile: they must be withdrawn.
    MovedOn,
}

/// Pulls the levers that are not in place yet. `before` notes what they found, `first` when the first of them moved:
/// both also when a later one fails.
///
/// The one on a Deployment waits until no check is under way any more that read the Canary before the failed checks were
/// raised: such a check would roll back without telling the team (`docs/flagger.md#l3`).
///
/// # Errors
/// A write was refused; with a conflict, something changed since it was judged.
pub async fn apply(
    context: &Context,
    fresh: &Snapshot,
    levers: Levers,
    reason: &str,
    before: &mut Option<SavedStatus>,
    first: &mut Option<Timestamp>,
) -> Result<ApplyOutcome, Error> {
    let canary = &fresh.canary;
    // What was judged, and after the first lever what our own write made of it: nobody else's change in between passes.
    let mut written = canary.clone();
    if levers.fail_checks && canary.status.failed_checks < Effective::of(canary).threshold {
        before.get_or_insert_default().failed_checks = Some(canary.status.failed_checks);
        let threshold = Effective::of(canary).threshold;
        let answer = patch_failed_checks(context, canary, threshold).await;
        // Also where only the answer was lost.
        let raised_at = context.now();
        before.get_or_insert_default().raised_at = Some(raised_at);
        written = answer?;
        first.get_or_insert(raised_at);
    }
    if levers.target == TargetLever::BackdateTransition
        && let Some(backdated) = backdated(canary, context.now())
    {
        let found = canary.status.last_transition_time.unwrap_or(backdated);
        before.get_or_insert_default().transition = Some((found, backdated));
        patch_status(
            context,
            &written,
            json!({"lastTransitionTime": timestamps::time(backdated)}),
        )
        .await?;
        first.get_or_insert_with(|| context.now());
    }
    if let Some((target, object)) = fresh
        .target
        .as_ref()
        .filter(|_| levers.target == TargetLever::ExceedDeadline)
        && !target.deadline_exceeded()
        && may_follow(fresh.objects(), before.as_ref(), context.now())
    {
        let name = canary.spec.target.name.clone();
        before.get_or_insert_default().progressing = Some((name, progressing(object).cloned()));
        let now = timestamps::time(context.now());
        let exceeded = json!({
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": format!("{OURS}{reason}"),
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        });
        patch_progressing(context, object, exceeded).await?;
        first.get_or_insert_with(|| context.now());
    }
    if first.is_some() && moved_on(canary, &read_canary(context, canary).await?) {
        return Ok(ApplyOutcome::MovedOn);
    }
    Ok(ApplyOutcome::InPlace)
}

/// Whether the lever on the target may follow the failed checks.
#[must_use]
pub fn may_follow(objects: Objects<'_>, before: Option<&SavedStatus>, now: Timestamp) -> bool {
    // One from the future is some other machine's clock, or a forgery.
    let last_event = objects.last_event.filter(|at| *at <= now);
    let ended_at = before
        .and_then(|before| before.raised_at)
        .and_then(|raised| checks_ended_at(raised, last_event, objects.canary, objects.canaries));
    ended_at.is_none_or(|ended| now >= ended)
}

/// Puts back exactly what the levers found.
///
/// # Errors
/// A write was refused; with a conflict, something changed since it was read.
pub async fn withdraw(context: &Context, fresh: &Snapshot, before: Option<&SavedStatus>) -> Result<(), Error> {
    let mut canary = fresh.canary.clone();
    let known = before.and_then(|before| before.progressing.as_ref());
    let current = &canary.spec.target.name;
    if let Some((name, _)) = known.filter(|(name, _)| name != current) {
        // It targets something else now, and the lever is still where it was put.
        put_back(context, canary.namespace(), name, known).await?;
    }
    if let Some((_, object)) = &fresh.target {
        put_back_on(context, object, known.filter(|(name, _)| name == current)).await?;
    }
    if let Some((found, put)) = before.and_then(|before| before.transition)
        && canary
            .status
            .last_transition_time
            .is_some_and(|stands| stands.as_second() == put.as_second())
    {
        canary = patch_status(context, &canary, json!({"lastTransitionTime": timestamps::time(found)})).await?;
    }
    // What the count was before is forgotten by a restart; Flagger counts on from none.
    let failed_checks = before.map_or(Some(0), |before| before.failed_checks);
    if let Some(failed_checks) = failed_checks
        && canary.status.phase.can_roll_back()
        && canary.status.failed_checks >= Effective::of(&canary).threshold
    {
        patch_failed_checks(context, &canary, failed_checks).await?;
    }
    Ok(())
}

/// Puts the condition back on a target whose Canary is gone.
async fn leave(context: &Context, namespace: &str, before: &SavedStatus) -> Result<(), Error> {
    let known = before.progressing.as_ref();
    match known {
        Some((name, _)) => put_back(context, namespace, name, known).await,
        None => Ok(()),
    }
}

/// Takes the levers off the targets of Canaries that are gone, whenever there is one. Never ends.
pub async fn clear_up(context: &Context) {
    loop {
        let (namespace, before) = context.states.next_left().await;
        for wait in CLEAR_UP_AGAIN {
            let Err(error) = leave(context, &namespace, &before).await else {
                break;
            };
            tracing::warn!(namespace, %error, ?wait, "cannot take a lever off the target of a Canary that is gone");
            tokio::time::sleep(wait).await;
        }
    }
}

type Known<'a> = Option<&'a (String, Option<Value>)>;

async fn put_back(context: &Context, namespace: &str, name: &str, known: Known<'_>) -> Result<(), Error> {
    match workload(context, "Deployment", namespace, name).await? {
        Some((_, object)) => put_back_on(context, &object, known).await,
        None => Ok(()),
    }
}

async fn put_back_on(context: &Context, object: &Value, known: Known<'_>) -> Result<(), Error> {
    if !progressing(object).is_some_and(is_ours) {
        return Ok(());
    }
    let found = known.and_then(|(_, found)| found.clone());
    patch_progressing(context, object, found.unwrap_or_else(|| neutral(context.now()))).await
}

/// Whether the Canary is not any more in the phase and revision that were judged. That it failed is what was wanted.
fn moved_on(judged: &Canary, now: &Canary) -> bool {
    let revision = |canary| Revision::of(canary, TemplateHash::default());
    let may_act = now.status.phase.can_roll_back() && now.metadata.deletion_timestamp.is_none() && !now.spec.suspend;
    now.status.phase != Phase::Failed && (!may_act || revision(now).taken_up_since(&revision(judged)))
}

/// The `lastTransitionTime` from which Flagger would find the deadline passed, unless it stands there or earlier.
#[must_use]
pub fn backdated(canary: &Canary, now: Timestamp) -> Option<Timestamp> {
    let deadline = SignedDuration::from_secs(Effective::of(canary).progress_deadline_seconds.max(0));
    let wanted = now.checked_sub(deadline.saturating_add(BACKDATE_MARGIN)).ok()?;
    let stands = canary.status.last_transition_time?;
    // A little later does as well: the time goes on.
    (now.duration_since(stands) <= deadline).then_some(wanted)
}

/// Gives an initialization more time: Flagger counts from the last update of the primary's `Available` condition, and
/// Kubernetes from that of `Progressing` (`docs/flagger.md#l11`). Nothing else is touched.
///
/// # Errors
/// The write was refused; with a conflict, the primary changed since it was read.
pub async fn hold(context: &Context, fresh: &Snapshot) -> Result<(), Error> {
    let Some((_, object)) = &fresh.primary else {
        return Ok(());
    };
    let now = timestamps::time(context.now());
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for condition in &mut conditions {
        let waits = (condition["type"] == "Available" && condition["status"] == "False")
            || (condition["type"] == "Progressing" && condition["status"] == "True");
        if waits {
            condition["lastUpdateTime"] = json!(now);
        }
    }
    patch_conditions(context, object, &conditions).await
}

/// Writes the phase that Flagger would write if it rolled back. Its `lastTransitionTime` stays: that is Flagger's sign of
/// life, and this is none.
///
/// # Errors
/// The write was refused; with a conflict, the Canary changed since it was read.
pub async fn fail(context: &Context, fresh: &Snapshot, reason: &str) -> Result<(), Error> {
    let now = timestamps::time(context.now());
    let promoted = json!({
        "type": "Promoted",
        "status": "False",
        "reason": "Failed",
        "message": format!("{OURS}{reason}"),
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    });
    let status = json!({
        "phase": "Failed", "canaryWeight": 0, "iterations": 0, "failedChecks": 0, "conditions": [promoted],
    });
    patch_status(context, &fresh.canary, status).await.map(|_| ())
}

/// Asks whether that will be allowed, without doing it.
///
/// # Errors
/// It would be refused.
pub async fn may_scale_to_zero(context: &Context, fresh: &Snapshot) -> Result<(), Error> {
    scale(context, fresh, PatchParams::apply(FIELD_MANAGER).dry_run()).await
}

/// Takes the target's pods away as Flagger does: a Deployment wants none, and a `DaemonSet` selects nodes that there are
/// not. What is so already is left alone.
///
/// # Errors
/// The write was refused; with a conflict, the target changed since it was read.
pub async fn scale_to_zero(context: &Context, fresh: &Snapshot) -> Result<(), Error> {
    scale(context, fresh, PatchParams::apply(FIELD_MANAGER)).await
}

async fn scale(context: &Context, fresh: &Snapshot, params: PatchParams) -> Result<(), Error> {
    let Some((target, object)) = fresh.target.as_ref().filter(|(target, _)| target.wanted > 0) else {
        return Ok(());
    };
    let metadata = &object["metadata"];
    let precondition = json!({"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]});
    let (namespace, name) = (
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str(),
    );
    let (client, name) = (context.client.clone(), name.unwrap_or_default());
    match target.kind {
        Kind::Deployment => {
            let patch = Patch::Merge(json!({"metadata": precondition, "spec": {"replicas": 0}}));
            let deployments: Api<Deployment> = Api::namespaced(client, namespace);
            context
                .write("scale the Deployment", deployments.patch_scale(name, &params, &patch))
                .await?;
        }
        Kind::DaemonSet => {
            let selector = json!({SCALE_TO_ZERO_SELECTOR: "true"});
            let patch = Patch::Merge(json!({
                "metadata": precondition,
                "spec": {"template": {"spec": {"nodeSelector": selector}}},
            }));
            let daemon_sets: Api<DaemonSet> = Api::namespaced(client, namespace);
            context
                .write("park the DaemonSet", daemon_sets.patch(name, &params, &patch))
                .await?;
        }
    }
    Ok(())
}

async fn patch_failed_checks(context: &Context, canary: &Canary, count: i64) -> Result<Canary, Error> {
    patch_status(context, canary, json!({"failedChecks": count})).await
}

async fn patch_status(context: &Context, canary: &Canary, status: Value) -> Result<Canary, Error> {
    let canaries: Api<Canary> = Api::namespaced(context.client.clone(), canary.namespace());
    let patch = Patch::Merge(json!({
        "metadata": {"uid": canary.meta().uid, "resourceVersion": canary.meta().resource_version},
        "status": status,
    }));
    let params = PatchParams::apply(FIELD_MANAGER);
    let answer = canaries.patch_status(canary.name(), &params, &patch);
    context.write("write the Canary's status", answer).await
}

async fn patch_progressing(context: &Context, deployment: &Value, condition: Value) -> Result<(), Error> {
    let mut conditions = deployment["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    match conditions
        .iter_mut()
        .find(|condition| condition["type"] == "Progressing")
    {
        Some(progressing) => *progressing = condition,
        None => conditions.push(condition),
    }
    patch_conditions(context, deployment, &conditions).await
}

async fn patch_conditions(context: &Context, deployment: &Value, conditions: &[Value]) -> Result<(), Error> {
    let metadata = &deployment["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str(), metadata["name"].as_str());
    let patch = Patch::Merge(json!({
        "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "status": {"conditions": conditions},
    }));
    let deployments: Api<Deployment> = Api::namespaced(context.client.clone(), namespace.unwrap_or_default());
    let params = PatchParams::apply(FIELD_MANAGER);
    let answer = deployments.patch_status(name.unwrap_or_default(), &params, &patch);
    context
        .write("write the Deployment's conditions", answer)
        .await
        .map(|_| ())
}

/// What stands in for the condition that was there before, when a restart forgot it. It is what a target has that
/// Flagger scaled up (`docs/flagger.md#f2`), and the one from which Kubernetes does not count a deadline.
fn neutral(now: Timestamp) -> Value {
    let now = timestamps::time(now);
    json!({
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable",
        "message": "Curfew withdrew its verdict.",
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    })
}
