//! One look at a Canary: what was seen, what the clocks say, and what to do.

use jiff::Timestamp;

use crate::deadline::{
    evaluate, evaluate::Evaluation, limits::Limits, objects::Objects, observation::Observation, observe, remedy,
    remedy::Remedy, stamp::Stamp,
};

/// One look: what was seen, what the clocks say, and what to do.
pub(super) struct Reconciliation {
    pub(super) seen: Observation,
    pub(super) stamp: Stamp,
    pub(super) evaluation: Evaluation,
    pub(super) remedy: Remedy,
}

// === impl Reconciliation ===

impl Reconciliation {
    /// Looks at what is there.
    pub(super) fn at(objects: Objects<'_>, before: &Stamp, limits: &Limits, now: Timestamp) -> Self {
        let (seen, stamp) = observe(objects, before, now);
        let evaluation = evaluate(&seen, &stamp, limits, now);
        let remedy = remedy(&evaluation, &seen, &stamp, limits, now);
        Self {
            seen,
            stamp,
            evaluation,
            remedy,
        }
    }

    /// Whether this is the first look at a rollout or at a revision. What belongs together then is read afresh: a
    /// watch may show the new status before the new template.
    pub(super) fn is_another_rollout(&self, before: &Stamp) -> bool {
        let identity = |stamp: &Stamp| {
            stamp.rollout.as_ref().map(|rollout| {
                (
                    rollout.promoted_since,
                    rollout.revision.applied.clone(),
                    rollout.revision.configs,
                )
            })
        };
        self.seen.running && identity(&self.stamp) != identity(before)
    }
}
