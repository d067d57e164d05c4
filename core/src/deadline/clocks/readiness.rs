//! How long the target may be less ready than Flagger needs it to advance.

use jiff::Timestamp;

use super::spec::{ClockSpec, Set, Why, deadline_passed, share};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockPolicy, ClockSettings},
    },
    rollout::{Clock, stamp::Stamp},
};

impl Clock {
    /// How long the target may be less ready than Flagger needs it to advance.
    pub const READINESS: Self = Self::named("readiness");
}

/// What there is to know about it.
pub(super) const READINESS: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::READINESS,
        about: "Unready time of the canary.",
        about_default: "; the limit is the Canary's own",
        allowed: &[Action::RollBack, Action::Report, Action::Disabled],
        fields: &[],
        default: ClockPolicy::action(Action::RollBack),
    },
    limit: |_, timing| Some(timing.deadline),
    read,
    passed: deadline_passed,
    why: Why::Target,
};

fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    let budget = stamp.rollout.as_ref().filter(|_| seen.counts())?.budget;
    let limit = limit.limit?;
    Some(Set {
        deadline: budget.reaches(limit)?,
        warn_at: budget.reaches(share(limit, inputs.limits.warn_at_percent)),
    })
}
