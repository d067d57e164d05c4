//! What the levers found, so that it can be put back.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    conditions::{is_ours, progressing},
    snapshot::Snapshot,
};
use crate::{
    deadline::{stamp::Stamp, stamp::requested},
    flagger::{effective::Effective, workload::Kind},
};

/// What the levers found before they moved anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedStatus {
    /// The target whose `Progressing` condition was set, by its name, and the condition that it had.
    pub(super) progressing: Option<(String, Option<Value>)>,
    /// The Canary's count of failed checks.
    pub(super) failed_checks: Option<i64>,
    /// When it was raised.
    pub(super) raised_at: Option<Timestamp>,
    /// The Canary's `lastTransitionTime`, as it was and as it was put.
    pub(super) transition: Option<(Timestamp, Timestamp)>,
}

// === impl SavedStatus ===

impl SavedStatus {
    /// What may be ours on a rollout that is looked at for the first time: levers that were applied before a restart. What
    /// stood there before them is forgotten.
    #[must_use]
    pub fn found(fresh: &Snapshot, stamp: &Stamp, now: Timestamp) -> Option<Self> {
        let canary = &fresh.canary;
        let failed =
            canary.status.phase.can_roll_back() && canary.status.failed_checks >= Effective::of(canary).threshold;
        let target = fresh.target.as_ref().map(|(_, object)| object);
        let exceeded = target.and_then(progressing).is_some_and(is_ours);
        // Flagger has not written since, so what stands there is as old as the verdict wanted it.
        let asked = stamp
            .verdict
            .as_ref()
            .filter(|_| requested(stamp))
            .map(|verdict| verdict.at);
        let backdated = canary.status.last_transition_time.filter(|stands| {
            let by_status = fresh
                .target
                .as_ref()
                .is_some_and(|(target, _)| target.kind == Kind::DaemonSet);
            by_status && canary.status.phase.can_roll_back() && asked.is_some_and(|asked| *stands < asked)
        });
        let found = Self {
            progressing: exceeded.then(|| (canary.spec.target.name.clone(), None)),
            // Flagger counts on from none.
            failed_checks: failed.then_some(0),
            raised_at: failed.then_some(asked.unwrap_or(now)),
            transition: backdated.map(|stands| (now, stands)),
        };
        (found != Self::default()).then_some(found)
    }

    /// Whether a target carries a condition of ours.
    #[must_use]
    pub fn is_on_target(&self) -> bool {
        self.progressing.is_some()
    }
}
