//! How long an approval may be waited for.

use jiff::Timestamp;

use super::{
    advance::could_advance_since,
    spec::{ClockSpec, Set, Why, deadline_passed, signed},
};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockField, ClockPolicy, ClockSettings},
    },
    rollout::{Clock, Stage, stamp::Stamp},
};

impl Clock {
    /// How long an approval may be waited for.
    pub const GATE: Self = Self::named("gate");
}

/// What there is to know about it.
pub(super) const GATE: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::GATE,
        about: "Waiting for an approval.",
        about_default: ", no `limit`: the clock does not run",
        allowed: &[Action::RollBack, Action::Report, Action::Disabled],
        fields: &[ClockField::Limit],
        default: ClockPolicy::action(Action::Report),
    },
    limit: |policy, _| policy.limit.map(signed),
    read,
    passed: deadline_passed,
    why: Why::Always("an approval is waited for"),
};

fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, now: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    if !seen.is_live() {
        return None;
    }
    let start = match seen.stage {
        Stage::GatedStart | Stage::GatedPromotion => seen.phase_since?,
        Stage::Progressing if seen.behind_gate() => could_advance_since(seen, stamp.rollout.as_ref()?, now),
        _ => return None,
    };
    Set::after(start, limit.limit?)
}
