//! What holds for one rollout: the spec's deadline, the policy's clocks and the user's annotation together.

use jiff::SignedDuration;

use crate::{
    policy::{action::Action, canary_policy::Enforcement},
    rollout::Clock,
};

/// What is given to an engine on top of an interval to look at its target.
pub const CHECK_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// What the limits of a rollout follow from, beside the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// The engine's own deadline for pods to become ready.
    pub deadline: SignedDuration,
    /// Time between two of the engine's checks.
    pub interval: SignedDuration,
    /// How long the hooks of one check may take.
    pub hook_time: SignedDuration,
    /// The deadline that the user asks for the whole rollout.
    pub rollout_deadline: Option<std::time::Duration>,
}

/// The limits of one Canary's clocks and what happens at each deadline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Whether deadlines are enforced at all.
    pub mode: Enforcement,
    /// The share of a limit after which a deadline is announced, per cent.
    pub warn_at_percent: u8,
    /// Time between two of Flagger's checks.
    pub interval: SignedDuration,
    /// Whether Curfew may itself end a rollout when Flagger is down.
    pub last_resort: bool,
    /// Each clock's.
    pub clocks: Vec<Limit>,
}

/// One clock's limit, and what happens when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Which clock.
    pub clock: Clock,
    /// What happens.
    pub action: Action,
    /// The limit; none: the clock does not run, or takes it from elsewhere.
    pub limit: Option<SignedDuration>,
    /// How many failed exits reach it, where exits are counted.
    pub restarts: Option<u32>,
}

// === impl Limits ===

impl Limits {
    /// The limits of a Canary that nobody watches.
    #[must_use]
    pub fn off(self) -> Self {
        Self {
            mode: Enforcement::Disabled,
            ..self
        }
    }

    /// One clock's limit. A clock that is not there does not run.
    #[must_use]
    pub fn of_clock(&self, clock: Clock) -> Limit {
        let limit = self.clocks.iter().find(|limit| limit.clock == clock);
        limit.copied().unwrap_or(Limit {
            clock,
            action: Action::Disabled,
            limit: None,
            restarts: None,
        })
    }

    /// The same without one clock.
    #[must_use]
    pub fn without(mut self, clock: Clock) -> Self {
        self.clocks.retain(|limit| limit.clock != clock);
        self
    }
}
