//! How long traffic or pods may stay on a canary that nothing moves.

use jiff::Timestamp;

use super::spec::{ClockSpec, Set, Why, deadline_passed};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockPolicy, ClockSettings},
    },
    rollout::{Clock, Stage, stage::Done, stamp::Stamp},
};

impl Clock {
    /// How long traffic or pods may stay on a canary that nothing moves.
    pub const STANDSTILL: Self = Self::named("standstill");
}

/// What there is to know about it.
pub(super) const STANDSTILL: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::STANDSTILL,
        about: "Traffic or pods on a canary that nothing moves.",
        about_default: "; the limit is the Canary's own deadline",
        allowed: &[Action::Report, Action::Disabled],
        fields: &[],
        default: ClockPolicy::action(Action::Report),
    },
    limit: |_, timing| Some(timing.deadline),
    read,
    passed: deadline_passed,
    why: Why::Blocked,
};

/// Since it began to stand still, as far as that was seen.
fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    if !seen.is_live() || !seen.on_canary {
        return None;
    }
    let since = match seen.stage {
        Stage::Unknown | Stage::Done(Done::RolledBack) => seen.phase_since?,
        Stage::Progressing | Stage::GatedPromotion => stamp.rollout.as_ref()?.blocked_since?,
        _ => return None,
    };
    Set::after(since, limit.limit?)
}
