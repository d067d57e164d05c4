//! How long the promotion may take.

use jiff::Timestamp;

use super::spec::{ClockSpec, Set, Why, deadline_passed, signed};
use crate::{
    deadline::{conditions::Inputs, limits::Limit},
    policy::{
        action::Action,
        clock_policy::{ClockField, ClockPolicy, ClockSettings},
    },
    rollout::{Clock, Stage, stamp::Stamp},
};

impl Clock {
    /// How long the promotion may take.
    pub const PROMOTION: Self = Self::named("promotion");
}

/// What there is to know about it.
pub(super) const PROMOTION: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::PROMOTION,
        about: "Promotion of the primary.",
        about_default: "; without a `limit` twice the deadline",
        allowed: &[Action::Report, Action::Disabled],
        fields: &[ClockField::Limit],
        default: ClockPolicy::action(Action::Report),
    },
    limit: |policy, timing| Some(policy.limit.map_or(timing.deadline.saturating_mul(2), signed)),
    read,
    passed: deadline_passed,
    why: Why::Primary,
};

fn read(inputs: &Inputs<'_>, _: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    if !seen.is_live() || seen.stage != Stage::Promoting {
        return None;
    }
    // While it promotes, Flagger writes the status when it moves the weight, and then only.
    Set::after(seen.phase_since?.max(seen.status_written?), limit.limit?)
}
