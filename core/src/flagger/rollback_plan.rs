//! What is to be written for a remedy, as data: what makes Flagger roll back, and what takes that back.
//!
//! A plan holds only what is not in place yet. Where there is nothing left to write, it is empty.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    canary::Canary,
    deployment_conditions::{conditions, is_ours, progressing, with_progressing},
    effective::Effective,
    objects::Objects,
    phase::Phase,
    reasons::why,
    snapshot::Snapshot,
    timing::checks_ended_at,
    workload::SCALE_TO_ZERO_SELECTOR,
};
use crate::rollout::{
    breach::Breach,
    levers::{Levers, OURS, TargetLever},
    remedy::Remedy,
    revision::{Revision, TemplateHash},
    saved_status::{Overwritten, SavedStatus},
    timestamps,
    workload_kind::WorkloadKind,
    write::{Part, Write},
};

/// How far beyond its deadline a transition is put back.
const BACKDATE_MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// What is to be written for a remedy, in this order. What a write overwrites was not there in `saved` before it.
#[must_use]
pub fn plan(remedy: &Remedy, snapshot: &Snapshot, saved: Option<&SavedStatus>, now: Timestamp) -> Vec<Write> {
    match remedy {
        Remedy::RollBack(breach, levers) => {
            let due = due(*levers, snapshot.objects(), saved, now);
            due.map_or_else(Vec::new, |due| pull(due, *breach, snapshot, now))
        }
        Remedy::Hold(_) => hold(snapshot, now).into_iter().collect(),
        // A phase without its end would be neither Flagger's rollback nor ours: first it is asked whether that is allowed.
        // First the phase, then the replicas: the other way round Flagger would promote what was scaled to zero
        // (`docs/flagger.md#l4`).
        Remedy::LastResort(breach) => scale_to_zero(snapshot)
            .map(|write| Write { dry_run: true, ..write })
            .into_iter()
            .chain([fail(snapshot, *breach, now)])
            .collect(),
        Remedy::FinishLastResort => scale_to_zero(snapshot).into_iter().collect(),
        Remedy::Withdraw => withdraw(snapshot, saved, now),
        Remedy::None | Remedy::Report(_) | Remedy::Withhold(..) | Remedy::Await(_) | Remedy::Confirm => Vec::new(),
    }
}

/// Which of the levers are not in place yet, and may be pulled now.
///
/// The one on a Deployment waits until no check is under way any more that read the Canary before the failed checks were
/// raised: such a check would roll back without telling the team (`docs/flagger.md#l3`).
#[must_use]
pub fn due(levers: Levers, objects: Objects<'_>, saved: Option<&SavedStatus>, now: Timestamp) -> Option<Levers> {
    let Objects { canary, target, .. } = objects;
    let fail_checks = levers.fail_checks && canary.status.failed_checks < Effective::of(canary).threshold;
    let is_target_due = match levers.target {
        TargetLever::None | TargetLever::Later(_) => false,
        TargetLever::ExceedDeadline => {
            !fail_checks && target.is_some_and(|target| !target.deadline_exceeded()) && may_follow(objects, saved, now)
        }
        TargetLever::BackdateTransition => backdated(canary, now).is_some(),
    };
    let target = if is_target_due {
        levers.target
    } else {
        TargetLever::None
    };
    (fail_checks || is_target_due).then_some(Levers { fail_checks, target })
}

/// Whether the lever on the target may follow the failed checks.
fn may_follow(objects: Objects<'_>, saved: Option<&SavedStatus>, now: Timestamp) -> bool {
    // One from the future is some other machine's clock, or a forgery.
    let last_event = objects.last_event.filter(|at| *at <= now);
    let ended_at = saved
        .and_then(|saved| saved.raised_at)
        .and_then(|raised| checks_ended_at(raised, last_event, objects.canary, objects.canaries));
    ended_at.is_none_or(|ended| now >= ended)
}

/// The writes that pull these levers.
fn pull(due: Levers, breach: Breach, snapshot: &Snapshot, now: Timestamp) -> Vec<Write> {
    let canary = &snapshot.canary;
    let (mut status, mut overwrites) = (json!({}), SavedStatus::default());
    if due.fail_checks {
        status["failedChecks"] = json!(Effective::of(canary).threshold);
        overwrites.failed_checks = Some(canary.status.failed_checks);
    }
    if due.target == TargetLever::BackdateTransition
        && let Some(backdated) = backdated(canary, now)
    {
        status["lastTransitionTime"] = json!(timestamps::time(backdated));
        let found = canary.status.last_transition_time.unwrap_or(backdated);
        overwrites.transition = Some(Overwritten { found, put: backdated });
    }
    let on_canary = (overwrites != SavedStatus::default()).then(|| Write {
        overwrites,
        ..to_canary(canary, &status)
    });
    let on_target = snapshot
        .target
        .as_ref()
        .filter(|_| due.target == TargetLever::ExceedDeadline)
        .map(|(_, object)| exceed_deadline(snapshot, object, breach, now));
    on_canary.into_iter().chain(on_target).collect()
}

fn exceed_deadline(snapshot: &Snapshot, object: &Value, breach: Breach, now: Timestamp) -> Write {
    let reason = why(snapshot.objects(), breach.clock);
    let exceeded = condition("False", "ProgressDeadlineExceeded", &format!("{OURS}{reason}"), now);
    let target = snapshot.canary.spec.target.name.clone();
    Write {
        overwrites: SavedStatus {
            progressing: Some((target, progressing(object).cloned())),
            ..SavedStatus::default()
        },
        ..set_conditions(object, &with_progressing(object, exceeded))
    }
}

/// The `lastTransitionTime` from which Flagger would find the deadline passed, unless it stands there or earlier.
fn backdated(canary: &Canary, now: Timestamp) -> Option<Timestamp> {
    let deadline = SignedDuration::from_secs(Effective::of(canary).progress_deadline_seconds.max(0));
    let wanted = now.checked_sub(deadline.saturating_add(BACKDATE_MARGIN)).ok()?;
    let stands = canary.status.last_transition_time?;
    // A little later does as well: the time goes on.
    (now.duration_since(stands) <= deadline).then_some(wanted)
}

/// Puts back exactly what the levers found.
fn withdraw(snapshot: &Snapshot, saved: Option<&SavedStatus>, now: Timestamp) -> Vec<Write> {
    let canary = &snapshot.canary;
    let target = snapshot.target.as_ref().map(|(_, object)| object);
    // If it targets something else now, the lever is still where it was put.
    let on_targets = [snapshot.former_target.as_ref(), target]
        .into_iter()
        .flatten()
        .filter_map(|object| put_back(object, saved, now));
    let mut status = serde_json::Map::new();
    if let Some(Overwritten { found, put }) = saved.and_then(|saved| saved.transition)
        && let Some(stands) = canary.status.last_transition_time
        && stands.as_second() == put.as_second()
    {
        status.insert("lastTransitionTime".to_owned(), json!(timestamps::time(found)));
    }
    // What the count was before is forgotten by a restart; Flagger counts on from none.
    let failed_checks = saved.map_or(Some(0), |saved| saved.failed_checks);
    if let Some(failed_checks) = failed_checks
        && canary.status.phase.can_roll_back()
        && canary.status.failed_checks >= Effective::of(canary).threshold
    {
        status.insert("failedChecks".to_owned(), json!(failed_checks));
    }
    let on_canary = (!status.is_empty()).then(|| to_canary(canary, &status.into()));
    on_targets.chain(on_canary).collect()
}

/// Puts the condition back that a Deployment had before ours; nothing if it has none of ours.
#[must_use]
pub fn put_back(deployment: &Value, saved: Option<&SavedStatus>, now: Timestamp) -> Option<Write> {
    progressing(deployment).filter(|condition| is_ours(condition))?;
    let found = saved
        .and_then(|saved| saved.progressing.clone())
        .filter(|(name, _)| deployment["metadata"]["name"] == **name)
        .and_then(|(_, found)| found)
        // A restart forgot it. This is what a target has that Flagger scaled up (`docs/flagger.md#f2`), and the one from
        // which Kubernetes does not count a deadline.
        .unwrap_or_else(|| condition("True", "NewReplicaSetAvailable", "Curfew withdrew its verdict.", now));
    Some(set_conditions(deployment, &with_progressing(deployment, found)))
}

/// Whether a Canary is not any more in the phase and revision that were judged: what was written for that rollout is bound
/// to neither (`docs/flagger.md#l9`). That it failed is what was wanted.
#[must_use]
pub fn moved_on(judged: &Canary, now: &Canary) -> bool {
    let revision = |canary| Revision::of(canary, TemplateHash::default());
    let may_act = now.status.phase.can_roll_back() && now.metadata.deletion_timestamp.is_none() && !now.spec.suspend;
    now.status.phase != Phase::Failed && (!may_act || revision(now).taken_up_since(&revision(judged)))
}

/// Gives an initialization more time: Flagger counts from the last update of the primary's `Available` condition, and
/// Kubernetes from that of `Progressing` (`docs/flagger.md#l11`). Nothing else is touched.
fn hold(snapshot: &Snapshot, now: Timestamp) -> Option<Write> {
    let (_, primary) = snapshot.primary.as_ref()?;
    let mut conditions = conditions(primary);
    for condition in &mut conditions {
        let waits = (condition["type"] == "Available" && condition["status"] == "False")
            || (condition["type"] == "Progressing" && condition["status"] == "True");
        if waits {
            condition["lastUpdateTime"] = json!(timestamps::time(now));
        }
    }
    Some(set_conditions(primary, &conditions))
}

/// The phase that Flagger would write if it rolled back. Its `lastTransitionTime` stays: that is Flagger's sign of life,
/// and this is none.
fn fail(snapshot: &Snapshot, breach: Breach, now: Timestamp) -> Write {
    let reason = why(snapshot.objects(), breach.clock);
    let now = timestamps::time(now);
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
    to_canary(&snapshot.canary, &status)
}

/// Takes the target's pods away as Flagger does: a Deployment wants none, and a `DaemonSet` selects nodes that there are
/// not. What is so already is left alone.
fn scale_to_zero(snapshot: &Snapshot) -> Option<Write> {
    let (target, object) = snapshot.target.as_ref().filter(|(target, _)| target.wanted > 0)?;
    let (part, spec) = match target.kind {
        WorkloadKind::Deployment => (Part::DeploymentScale, json!({"replicas": 0})),
        WorkloadKind::DaemonSet => {
            let selector = json!({SCALE_TO_ZERO_SELECTOR: "true"});
            let template = json!({"spec": {"nodeSelector": selector}});
            (Part::DaemonSetTemplate, json!({"template": template}))
        }
    };
    Some(to_workload(part, object, "spec", &spec))
}

fn set_conditions(deployment: &Value, conditions: &[Value]) -> Write {
    let status = json!({"conditions": conditions});
    to_workload(Part::DeploymentConditions, deployment, "status", &status)
}

fn to_canary(canary: &Canary, status: &Value) -> Write {
    let metadata = &canary.metadata;
    Write {
        part: Part::CanaryStatus,
        namespace: canary.namespace().to_owned(),
        name: canary.name().to_owned(),
        patch: json!({
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "status": status,
        }),
        dry_run: false,
        overwrites: SavedStatus::default(),
    }
}

/// `field` is `spec` or `status`.
fn to_workload(part: Part, workload: &Value, field: &str, value: &Value) -> Write {
    let metadata = &workload["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    Write {
        part,
        namespace: text("namespace"),
        name: text("name"),
        patch: json!({
            "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
            field: value,
        }),
        dry_run: false,
        overwrites: SavedStatus::default(),
    }
}

/// A `Progressing` condition that began now.
fn condition(status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let now = timestamps::time(now);
    json!({
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    })
}

#[cfg(test)]
#[path = "rollback_plan_test.rs"]
mod tests;
