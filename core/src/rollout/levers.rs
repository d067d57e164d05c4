//! The levers with which Flagger is made to roll back.

use jiff::Timestamp;

/// What the message of our own condition on a target begins with, so that it can be told from Kubernetes' own.
pub const OURS: &str = "Curfew: ";

/// Which levers make Flagger roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Levers {
    /// Raise the Canary's failed checks to the threshold (`docs/flagger.md#l2`).
    pub fail_checks: bool,
    /// What is done to the target's own clock.
    pub target: TargetLever,
}

/// How Flagger is told that the target's deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetLever {
    /// Not at all: the pods are ready, and the failed checks suffice.
    None,
    /// Set the Deployment's `Progressing` condition to `ProgressDeadlineExceeded` (`docs/flagger.md#l1`).
    ExceedDeadline,
    /// Set the Canary's `lastTransitionTime` back, from which Flagger counts for a `DaemonSet` (`docs/flagger.md#l6`).
    BackdateTransition,
    /// Not yet: a check that a hook holds may still promote, and would find the lever afterwards. After this moment, if it
    /// is known.
    Later(Option<Timestamp>),
}

// === impl Levers ===

impl Levers {
    /// From when on the target's lever may be pulled, if that is later.
    #[must_use]
    pub const fn later(self) -> Option<Timestamp> {
        match self.target {
            TargetLever::Later(until) => until,
            TargetLever::None | TargetLever::ExceedDeadline | TargetLever::BackdateTransition => None,
        }
    }
}
