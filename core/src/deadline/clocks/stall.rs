//! How long a ready target may go without progress.

use jiff::{SignedDuration, Timestamp};

use super::{
    advance::could_advance_since,
    spec::{ClockSpec, Set, Why, deadline_passed, signed},
};
use crate::{
    deadline::{
        conditions::Inputs,
        limits::{Limit, Timing},
    },
    policy::{
        action::Action,
        clock_policy::{ClockField, ClockPolicy, ClockSettings},
    },
    rollout::{Clock, observation::TargetState, stamp::Stamp},
};

/// Checks without progress before a rollout counts as stalled.
const STALLED_CHECKS: i32 = 10;

impl Clock {
    /// How long a ready target may go without progress.
    pub const STALL: Self = Self::named("stall");
}

/// What there is to know about it.
pub(super) const STALL: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::STALL,
        about: "Ready, but not advancing.",
        about_default: "; without a `limit` ten intervals or the deadline, whichever is longer",
        allowed: &[Action::RollBack, Action::Report, Action::Disabled],
        fields: &[ClockField::Limit],
        default: ClockPolicy::action(Action::Report),
    },
    limit: |policy, timing| Some(limit(policy, timing)),
    read,
    passed: deadline_passed,
    why: Why::Always("the target is ready and Flagger looks at it, but nothing advances"),
};

fn read(inputs: &Inputs<'_>, stamp: &Stamp, limit: &Limit, now: Timestamp) -> Option<Set> {
    let (seen, limits) = (inputs.observation, inputs.limits);
    let rollout = stamp.rollout.as_ref()?;
    // Of a kind whose readiness nobody here can see, this is all that can be told.
    let may_advance = seen.target == TargetState::Ready || seen.foreign;
    if !seen.is_progressing() || seen.behind_gate() || !may_advance {
        return None;
    }
    // Without signs of life it is Flagger that is silent, not the rollout that stalls.
    let silent_at = seen
        .last_sign?
        .checked_add(limits.of_clock(Clock::SILENCE).limit?)
        .ok()?;
    Set::after(could_advance_since(seen, rollout, now), limit.limit?).filter(|_| now < silent_at)
}

/// A hook that runs is no stall: it may advance the rollout whenever it answers.
fn limit(policy: &ClockPolicy, timing: &Timing) -> SignedDuration {
    let own = timing.deadline.max(timing.interval.saturating_mul(STALLED_CHECKS));
    policy.limit.map_or(own, signed).saturating_add(timing.hook_time)
}
