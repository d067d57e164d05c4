//! One look at a Canary: what was seen, what the clocks say, and what to do.

use jiff::Timestamp;

use crate::{
    deadline::{Conditions, Inputs, evaluate, evaluate::Evaluation, limits::Limits, remedy, remedy::wants_evidence},
    flagger::{objects::Objects, observe},
    rollout::{observation::Observation, remedy::Remedy, stamp::Stamp},
};

/// One look: what was seen, what the clocks say, and what to do.
pub(super) struct Reconciliation {
    /// When.
    pub(super) at: Timestamp,
    pub(super) seen: Observation,
    pub(super) stamp: Stamp,
    pub(super) limits: Limits,
    conditions: Conditions,
    pub(super) evaluation: Evaluation,
    pub(super) remedy: Remedy,
}

// === impl Reconciliation ===

impl Reconciliation {
    /// Looks at what is there, while nothing speaks against acting.
    pub(super) fn at(objects: Objects<'_>, before: &Stamp, limits: &Limits, now: Timestamp) -> Self {
        let (seen, stamp) = observe(objects, before, now);
        let conditions = Conditions::default();
        let inputs = Inputs {
            observation: &seen,
            limits,
            conditions,
        };
        let evaluation = evaluate(&inputs, &stamp, now);
        let remedy = remedy(&evaluation, &inputs, &stamp, now);
        Self {
            at: now,
            seen,
            stamp,
            limits: limits.clone(),
            conditions,
            evaluation,
            remedy,
        }
    }

    /// What to do under these conditions.
    pub(super) fn under(&mut self, conditions: Conditions) {
        self.conditions = conditions;
        self.remedy = remedy(&self.evaluation, &self.inputs(), &self.stamp, self.at);
    }

    /// What to do when a permission is missing to write what Flagger reads, with a stamp that says what was done since.
    pub(super) fn if_forbidden(&self, stamp: &Stamp) -> Remedy {
        let mut inputs = self.inputs();
        inputs.conditions.forbidden = true;
        remedy(&self.evaluation, &inputs, stamp, self.at)
    }

    /// Whether the last resort is due, if Flagger turns out to be down.
    pub(super) fn wants_evidence(&self) -> bool {
        wants_evidence(&self.evaluation, &self.inputs(), &self.stamp, self.at)
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            observation: &self.seen,
            limits: &self.limits,
            conditions: self.conditions,
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
