//! How the initialization of a live workload goes: when Flagger or Kubernetes would end it.

use jiff::{SignedDuration, Timestamp};

use super::{
    canary::Canary,
    effective::Effective,
    ready::{Readiness, readiness},
    workload::{Condition, Workload},
};
use crate::rollout::{observation::Initialization, workload_kind::WorkloadKind};

/// The share of Flagger's deadline after which an initialization is held, per cent.
const HOLD_AT: i32 = 80;

/// Flagger makes the primary at one check, finds it ready at another, and may find it unready in between.
const INITIALIZATION_CHECKS: i32 = 3;

/// Flagger gives an unready primary its deadline from the last update of its `Available` condition, and Kubernetes
/// gives it its own from the last update of `Progressing`; either ends the initialization, and the live workload with it. That of
/// a `DaemonSet` counts from the last write of the Canary's status (`docs/flagger.md#l6`).
pub(super) fn initialization(
    canary: &Canary,
    target: Option<&Workload>,
    primary: Option<&Workload>,
    effective: &Effective,
) -> Initialization {
    let unready = primary.filter(|primary| {
        !effective.skip_analysis && readiness(primary, effective.primary_ready_threshold) != Readiness::Ready
    });
    let most_of = |since: Timestamp, deadline: i64| {
        let share = SignedDuration::from_secs(deadline.max(0)).saturating_mul(HOLD_AT) / 100;
        since.checked_add(share).ok()
    };
    let from = |condition: &Option<Condition>, status: &str, deadline: i64| {
        let condition = condition.as_ref().filter(|condition| condition.status == status)?;
        most_of(condition.updated?, deadline)
    };
    let hold_by = unready.and_then(|primary| {
        if primary.kind == WorkloadKind::DaemonSet {
            let created = canary.metadata.creation_timestamp.as_ref().map(|time| time.0);
            let since = canary.status.last_transition_time.or(created)?;
            return most_of(since, effective.progress_deadline_seconds);
        }
        let flaggers = from(&primary.availability, "False", effective.progress_deadline_seconds);
        let kubernetes = primary
            .progress_deadline
            .and_then(|deadline| from(&primary.progressing, "True", deadline));
        [flaggers, kubernetes].into_iter().flatten().min()
    });
    Initialization {
        target_serves: target.is_some_and(|target| target.available > 0),
        hold_by,
        reported_at: canary.metadata.creation_timestamp.as_ref().and_then(|created| {
            let deadline = SignedDuration::from_secs(effective.progress_deadline_seconds.max(0));
            created.0.checked_add(deadline.saturating_add(looks(effective))).ok()
        }),
    }
}

/// What the checks take that even a smooth initialization needs.
fn looks(effective: &Effective) -> SignedDuration {
    let interval = SignedDuration::try_from(effective.interval).unwrap_or(SignedDuration::MAX);
    interval
        .saturating_mul(INITIALIZATION_CHECKS)
        .max(SignedDuration::from_mins(1))
}
