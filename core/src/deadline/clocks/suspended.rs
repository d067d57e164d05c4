//! How long a rollout may be suspended in the middle.

use std::time::Duration;

use jiff::Timestamp;

use super::spec::{ClockSpec, Set, Why, deadline_passed, signed};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockField, ClockPolicy, ClockSettings},
    },
    rollout::{Clock, observation::Lifecycle, stamp::Stamp},
};

impl Clock {
    /// How long a rollout may be suspended in the middle.
    pub const SUSPENDED: Self = Self::named("suspended");
}

/// What there is to know about it.
pub(super) const SUSPENDED: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::SUSPENDED,
        about: "Suspended in mid-rollout.",
        about_default: " at `limit: 24h`",
        allowed: &[Action::Report, Action::Disabled],
        fields: &[ClockField::Limit],
        default: ClockPolicy {
            limit: Some(Duration::from_hours(24)),
            ..ClockPolicy::action(Action::Report)
        },
    },
    limit: |policy, _| policy.limit.map(signed),
    read,
    passed: deadline_passed,
    why: Why::Always("the rollout is suspended with traffic or pods on the canary"),
};

fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    if seen.lifecycle != Lifecycle::Suspended || !seen.on_canary {
        return None;
    }
    Set::after(stamp.suspended_since?, limit.limit?)
}
