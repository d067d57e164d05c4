//! What holds for one rollout: the spec's deadline, the policy's clocks and the user's annotation together.

use jiff::SignedDuration;

use crate::{
    policy::{
        EnforcementPolicy,
        canary_policy::{Action, Enforcement},
    },
    rollout::Clock,
};

/// The least time without a sign of life that counts as silence.
const LEAST_SILENCE: SignedDuration = SignedDuration::from_mins(1);
/// Looks that Flagger may miss before it counts as silent.
const MISSED_CHECKS: i32 = 3;
/// Looks without progress before a rollout counts as stalled.
const STALLED_CHECKS: i32 = 10;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Whether deadlines are enforced at all.
    pub mode: Enforcement,
    /// The share of a limit after which a deadline is announced, per cent.
    pub warn_at_percent: u8,
    /// Time between two of Flagger's checks.
    pub interval: SignedDuration,
    /// How many failed exits reach the limit of the crash clock.
    pub crash_restarts: u32,
    /// Whether Curfew may itself end a rollout when Flagger is down.
    pub last_resort: bool,
    /// The initialization of a workload; it measures by Flagger's own deadline.
    pub initialization: Limit,
    /// Unready time.
    pub readiness: Limit,
    /// Failed exits; the limit is the window.
    pub crashes: Limit,
    /// Waiting for approval.
    pub gate: Limit,
    /// Ready and not advancing.
    pub stall: Limit,
    /// No sign of life.
    pub silence: Limit,
    /// The promotion.
    pub promotion: Limit,
    /// The whole rollout.
    pub rollout: Limit,
    /// Suspended in the middle.
    pub suspended: Limit,
}

/// One clock's limit, and what happens when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// What happens.
    pub action: Action,
    /// The limit; none: the clock does not run, or takes it from elsewhere.
    pub limit: Option<SignedDuration>,
}

// === impl Limits ===

impl Limits {
    /// The limits of a rollout under a policy.
    #[must_use]
    pub fn under(policy: &EnforcementPolicy, timing: Timing) -> Self {
        let Timing {
            deadline,
            interval,
            hook_time,
            rollout_deadline,
        } = timing;
        let clocks = &policy.clocks;
        let report_only = policy.mode == Enforcement::Report;
        let limit = |action, limit| match action {
            Action::RollBack | Action::Hold if report_only => Limit {
                action: Action::Report,
                limit,
            },
            action => Limit { action, limit },
        };
        let silence = LEAST_SILENCE
            .max(interval.saturating_mul(MISSED_CHECKS))
            .saturating_add(hook_time);
        // The user's deadline within the policy's maximum, else the policy's limit.
        let rollout = rollout_deadline.map_or(clocks.rollout.limit, |asked| Some(asked.min(clocks.rollout.max_limit)));
        let rollout = rollout.map(signed);
        let stall = deadline.max(interval.saturating_mul(STALLED_CHECKS));
        Self {
            mode: policy.mode,
            warn_at_percent: policy.warn_at_percent,
            interval,
            crash_restarts: clocks.crashes.restarts,
            last_resort: policy.last_resort,
            initialization: limit(clocks.initialization.action, Some(deadline)),
            readiness: limit(clocks.readiness.action, Some(deadline)),
            crashes: limit(clocks.crashes.action, Some(signed(clocks.crashes.window))),
            gate: limit(clocks.gate.action, clocks.gate.limit.map(signed)),
            // A hook that runs is no stall: it may advance the rollout whenever it answers.
            stall: limit(
                clocks.stall.action,
                Some(clocks.stall.limit.map_or(stall, signed).saturating_add(hook_time)),
            ),
            silence: limit(clocks.silence.action, Some(silence)),
            promotion: limit(
                clocks.promotion.action,
                Some(clocks.promotion.limit.map_or(deadline.saturating_mul(2), signed)),
            ),
            rollout: limit(clocks.rollout.action, rollout),
            suspended: limit(clocks.suspended.action, clocks.suspended.limit.map(signed)),
        }
    }

    /// The limits of a Canary that nobody watches.
    #[must_use]
    pub fn off(self) -> Self {
        Self {
            mode: Enforcement::Disabled,
            ..self
        }
    }

    /// One clock's limit.
    #[must_use]
    pub fn of_clock(&self, clock: Clock) -> Limit {
        match clock {
            Clock::Initialization => self.initialization,
            Clock::Readiness => self.readiness,
            Clock::Crashes => self.crashes,
            Clock::Gate => self.gate,
            Clock::Stall => self.stall,
            Clock::Silence => self.silence,
            Clock::Promotion => self.promotion,
            Clock::Rollout => self.rollout,
            Clock::Suspended => self.suspended,
        }
    }
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
