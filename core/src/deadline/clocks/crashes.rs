//! How often a container that was ready once may fail.

use std::time::Duration;

use jiff::Timestamp;

use super::spec::{ClockSpec, Set, Why, signed};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockField, ClockPolicy, ClockSettings},
    },
    rollout::{Clock, breach::Breach, stamp::Stamp},
};

impl Clock {
    /// How often a container that was ready once may fail.
    pub const CRASHES: Self = Self::named("crashes");
}

/// What there is to know about it.
pub(super) const CRASHES: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::CRASHES,
        about: "Crashes of one container.",
        about_default: " at `restarts: 3` within `window: 1h`",
        allowed: &[Action::RollBack, Action::Report, Action::Disabled],
        fields: &[ClockField::Restarts, ClockField::Window],
        default: ClockPolicy {
            restarts: Some(3),
            window: Some(Duration::from_hours(1)),
            ..ClockPolicy::action(Action::RollBack)
        },
    },
    limit: |policy, _| policy.window.map(signed),
    read,
    passed,
    why: Why::Failures,
};

/// The deadline is the exit that was one too many; before that there is none.
fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let rollout = stamp.rollout.as_ref().filter(|_| inputs.observation.counts())?;
    rollout
        .crashes
        .limit_reached(limit.restarts?, limit.limit?)
        .map(Set::at)
}

fn passed(breach: &Breach) -> String {
    let window = breach.limit.as_secs();
    format!("the failed exits of one container reached the policy's limit within {window} s")
}
