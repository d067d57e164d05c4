//! What holds for one rollout: the spec's deadline and the policy's clocks together.

use jiff::SignedDuration;

use crate::{
    flagger::effective::Effective,
    policy::{
        EnforcementPolicy,
        canary_policy::{Action, Enforcement},
    },
};

/// The limits of one Canary's clocks and what happens at each deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Whether deadlines are enforced at all.
    pub mode: Enforcement,
    /// Unready time that the target has: the effective `progressDeadlineSeconds`.
    pub readiness: SignedDuration,
    /// What happens when it is used up.
    pub readiness_action: Action,
    /// The share of a limit after which the deadline is announced, per cent.
    pub warn_at_percent: u8,
    /// Time between two of Flagger's looks.
    pub interval: SignedDuration,
}

// === impl Limits ===

impl Limits {
    /// The limits of a Canary under a policy.
    #[must_use]
    pub fn of(effective: &Effective, policy: &EnforcementPolicy) -> Self {
        Self {
            mode: policy.mode,
            readiness: SignedDuration::from_secs(effective.progress_deadline_seconds.max(0)),
            readiness_action: policy.clocks.readiness.action,
            warn_at_percent: policy.warn_at_percent,
            interval: SignedDuration::try_from(effective.interval).unwrap_or(SignedDuration::MAX),
        }
    }

    /// The limits of a Canary that nobody watches.
    #[must_use]
    pub fn off(self) -> Self {
        Self {
            mode: Enforcement::Off,
            ..self
        }
    }
}
