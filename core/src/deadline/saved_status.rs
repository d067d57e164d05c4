//! What the levers found, so that it can be put back.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    deployment_conditions::{is_ours, progressing},
    snapshot::Snapshot,
    stamp::{Stamp, requested},
};
use crate::flagger::{canary::Canary, effective::Effective, workload::Kind};

/// What the levers found before they moved anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedStatus {
    /// The target whose `Progressing` condition was set, by its name, and the condition that it had.
    pub progressing: Option<(String, Option<Value>)>,
    /// The Canary's count of failed checks.
    pub failed_checks: Option<i64>,
    /// When it was raised.
    pub raised_at: Option<Timestamp>,
    /// The Canary's `lastTransitionTime`.
    pub transition: Option<Overwritten>,
}

/// A moment that was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// As it was.
    pub found: Timestamp,
    /// As it was put.
    pub put: Timestamp,
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
            transition: backdated.map(|put| Overwritten { found: now, put }),
        };
        (found != Self::default()).then_some(found)
    }

    /// Keeps what a write is about to overwrite.
    pub fn keep(&mut self, overwrites: &Self) {
        let Self {
            progressing,
            failed_checks,
            raised_at: _,
            transition,
        } = overwrites;
        if progressing.is_some() {
            self.progressing.clone_from(progressing);
        }
        self.failed_checks = failed_checks.or(self.failed_checks);
        self.transition = transition.or(self.transition);
    }

    /// Notes that a write that overwrites this was answered, or that its answer was lost.
    pub fn written(&mut self, overwrites: &Self, at: Timestamp) {
        if overwrites.failed_checks.is_some() {
            self.raised_at = Some(at);
        }
    }

    /// The Deployment whose condition was set, if it is not the Canary's target any more.
    #[must_use]
    pub fn former_target(&self, canary: &Canary) -> Option<&str> {
        let (name, _) = self.progressing.as_ref()?;
        (*name != canary.spec.target.name).then_some(name)
    }

    /// Whether a target carries a condition of ours.
    #[must_use]
    pub fn is_on_target(&self) -> bool {
        self.progressing.is_some()
    }
}
