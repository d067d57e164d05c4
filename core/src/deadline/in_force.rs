//! The limits of a rollout under a policy.

use super::{
    clocks::{CLOCKS, spec::ClockSpec},
    limits::{Limit, Limits, Timing},
};
use crate::policy::{EnforcementPolicy, action::Action, canary_policy::Enforcement};

// === impl Limits ===

impl Limits {
    /// The limits of a rollout under a policy.
    #[must_use]
    pub fn under(policy: &EnforcementPolicy, timing: &Timing) -> Self {
        let report_only = policy.mode == Enforcement::Report;
        let limit = |spec: &ClockSpec| {
            let settings = policy.clocks.of(&spec.settings);
            let action = match settings.action.unwrap_or(Action::Disabled) {
                Action::RollBack | Action::Hold if report_only => Action::Report,
                action => action,
            };
            Limit {
                clock: spec.settings.clock,
                action,
                limit: (spec.limit)(&settings, timing),
                restarts: settings.restarts,
            }
        };
        Self {
            mode: policy.mode,
            warn_at_percent: policy.warn_at_percent,
            interval: timing.interval,
            last_resort: policy.last_resort,
            clocks: CLOCKS.into_iter().map(limit).collect(),
        }
    }
}
