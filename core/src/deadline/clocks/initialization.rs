//! How long the initialization of a workload may take before it must be held.

use jiff::Timestamp;

use super::spec::{ClockSpec, Set, Why};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockPolicy, ClockSettings},
    },
    rollout::{Clock, breach::Breach, stamp::Stamp},
};

impl Clock {
    /// How long the initialization of a workload may take before it must be held.
    pub const INITIALIZATION: Self = Self::named("initialization");
}

/// What there is to know about it.
pub(super) const INITIALIZATION: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::INITIALIZATION,
        about: "Initialization of a workload.",
        about_default: "; most of Flagger's own deadline",
        allowed: &[Action::Hold, Action::Report, Action::Disabled],
        fields: &[],
        default: ClockPolicy::action(Action::Hold),
    },
    limit: |_, timing| Some(timing.deadline),
    read,
    passed,
    why: Why::Primary,
};

/// Flagger fails an initialization whose primary does not get ready in time, and scales the live workload to 0
/// (`docs/flagger.md#f8`): the deadline is before that.
fn read(inputs: &Inputs<'_>, _: &Stamp, _: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    let initialization = seen.initialization.filter(|_| seen.is_live())?;
    initialization.hold_by.or(initialization.reported_at).map(Set::at)
}

fn passed(breach: &Breach) -> String {
    let limit = breach.limit.as_secs();
    format!("the initialization is not done, and its deadline of {limit} s is near or past")
}
