//! How long the whole rollout may take.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::spec::{ClockSpec, Set, Why, deadline_passed, share, signed};
use crate::{
    deadline::{
        conditions::Inputs,
        limits::{Limit, Timing},
    },
    policy::{
        action::Action,
        clock_policy::{ClockField, ClockPolicy, ClockSettings},
    },
    rollout::{Clock, stamp::Stamp},
};

impl Clock {
    /// How long the whole rollout may take.
    pub const ROLLOUT: Self = Self::named("rollout");
}

/// What there is to know about it.
pub(super) const ROLLOUT: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::ROLLOUT,
        about: "The whole rollout.",
        about_default: ", no `limit`: only where `curfew.dev/rollout-deadline` sets one; `maxLimit: 24h` caps that",
        allowed: &[Action::RollBack, Action::Report, Action::Disabled],
        fields: &[ClockField::Limit, ClockField::MaxLimit],
        default: ClockPolicy {
            max_limit: Some(Duration::from_hours(24)),
            ..ClockPolicy::action(Action::RollBack)
        },
    },
    limit,
    read,
    passed: deadline_passed,
    why: Why::TargetOr("the target is ready, but the rollout is not done"),
};

fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    let rollout = stamp.rollout.as_ref().filter(|_| seen.running && seen.is_live())?;
    let limit = limit.limit?;
    Some(Set {
        deadline: rollout.running.reaches(limit)?,
        warn_at: rollout.running.reaches(share(limit, inputs.limits.warn_at_percent)),
    })
}

/// The user's deadline within the policy's maximum, else the policy's limit.
fn limit(policy: &ClockPolicy, timing: &Timing) -> Option<SignedDuration> {
    let asked = timing
        .rollout_deadline
        .map(|asked| policy.max_limit.map_or(asked, |most| asked.min(most)));
    asked.or(policy.limit).map(signed)
}
