//! How the target stands against what Flagger needs to advance.

use jiff::{SignedDuration, Timestamp};

use super::{
    canary::Canary,
    look::Look,
    objects::{Objects, is_service},
    ready::{self, Readiness, Shortfall, readiness},
    workload::Workload,
};
use crate::rollout::{observation::TargetState, pods::PodSeen, stamp::Rollout};

/// Within this time a controller that keeps up has counted a pod that got ready.
const COUNTED_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// How the target stands, in the order in which Flagger would find out.
pub(super) fn target_state(look: Look<'_>, rollout: &Rollout) -> TargetState {
    let effective = look.effective;
    let Objects {
        canary,
        target,
        primary,
        pods,
        last_event: _,
        canaries: _,
    } = look.objects;
    // Flagger holds a Service for always ready.
    if is_service(canary) {
        return TargetState::Ready;
    }
    let Some(target) = target else {
        return TargetState::Missing;
    };
    if target.paused {
        return TargetState::Paused;
    }
    if target.unobserved() {
        return TargetState::Unobserved;
    }
    if !effective.skip_analysis {
        let Some(primary) = primary else {
            return TargetState::Missing;
        };
        let ready = readiness(primary, effective.primary_ready_threshold) == Readiness::Ready;
        if !ready || primary.deadline_exceeded() {
            return TargetState::PrimaryNotReady;
        }
    }
    match readiness(target, effective.canary_ready_threshold) {
        Readiness::Unobserved => TargetState::Unobserved,
        // Flagger holds none of none for ready and would promote it (docs/flagger.md#f9).
        Readiness::Ready if target.wanted == 0 => TargetState::Unready,
        Readiness::Ready => TargetState::Ready,
        Readiness::NotReady(_) => pods
            .and_then(|pods| growing_until(look, rollout, target, pods))
            .map_or(TargetState::Unready, TargetState::Growing),
    }
}

/// So many available pods are no fewer than there were: as many as were wanted at the last progress. Of a rollout that was
/// found running that is not known, and nobody but an autoscaler changes it in mid-rollout.
pub(super) fn enough(target: &Workload, rollout: &Rollout, canary: &Canary) -> i64 {
    match (rollout.wanted, &canary.spec.autoscaler) {
        (Some(wanted), _) => wanted,
        (None, Some(_)) => 1,
        (None, None) => target.wanted,
    }
}

/// Until when an autoscaler or a drain explains the unready pods, if it does.
fn growing_until(look: Look<'_>, rollout: &Rollout, target: &Workload, pods: &[PodSeen]) -> Option<Timestamp> {
    if target.available < enough(target, rollout, look.objects.canary) {
        return None;
    }
    let oldest = pods.iter().filter(|pod| !pod.ready).map(|pod| pod.created).min()??;
    let deadline = SignedDuration::from_secs(look.effective.progress_deadline_seconds.max(0));
    oldest.checked_add(deadline).ok().filter(|until| look.now < *until)
}

/// Whether enough pods have been ready for so long that the controller should have counted them.
pub(super) fn controllers_behind(look: Look<'_>) -> bool {
    let Look {
        objects,
        effective,
        now,
    } = look;
    let (Some(target), Some(pods)) = (objects.target, objects.pods) else {
        return false;
    };
    let due = SignedDuration::from_secs(target.min_ready).saturating_add(COUNTED_WITHIN);
    let ready = pods
        .iter()
        .filter(|pod| pod.ready && pod.since.is_some_and(|since| now.duration_since(since) > due))
        .count();
    let needed = ready::needed(target, effective.canary_ready_threshold);
    // Pods of an old version, or too few of them, are another matter.
    let only_availability = matches!(
        readiness(target, effective.canary_ready_threshold),
        Readiness::NotReady(Shortfall::Unavailable { .. })
    );
    only_availability && i64::try_from(ready).is_ok_and(|ready| ready >= needed)
}
