//! How long Flagger may show no sign of life.

use jiff::{SignedDuration, Timestamp};

use super::spec::{ClockSpec, Set, Why, deadline_passed};
use crate::{
    deadline::{
        conditions::Inputs,
        limits::{Limit, Timing},
    },
    policy::{
        action::Action,
        clock_policy::{ClockPolicy, ClockSettings},
    },
    rollout::{Clock, observation::TargetState, stamp::Stamp},
};

/// The least time without a sign of life that counts as silence.
const LEAST_SILENCE: SignedDuration = SignedDuration::from_mins(1);
/// Checks that Flagger may miss before it counts as silent.
const MISSED_CHECKS: i32 = 3;
/// How seldom client-go passes on Events once it throttles them (`EventCorrelator`: a burst of 25, then one in 300 s).
const THROTTLED_EVENTS: SignedDuration = SignedDuration::from_secs(300);

impl Clock {
    /// How long Flagger may show no sign of life.
    pub const SILENCE: Self = Self::named("silence");
}

/// What there is to know about it.
pub(super) const SILENCE: ClockSpec = ClockSpec {
    settings: ClockSettings {
        clock: Clock::SILENCE,
        about: "No sign of life from Flagger.",
        about_default: "; the limit is three intervals, a minute at least",
        allowed: &[Action::Report, Action::Disabled],
        fields: &[],
        default: ClockPolicy::action(Action::Report),
    },
    limit: |_, timing| Some(limit(timing)),
    read,
    passed: deadline_passed,
    why: Why::Always("no sign of life from Flagger on this Canary: it is down, stuck, or does not watch it"),
};

fn read(inputs: &Inputs<'_>, _: &Stamp, limit: &Limit, _: Timestamp) -> Option<Set> {
    let seen = inputs.observation;
    if !seen.is_progressing() || seen.behind_gate() {
        return None;
    }
    // While the target is not ready, Flagger writes Events only, and after 25 of them about one object its client passes
    // on no more than one in five minutes (docs/flagger.md#signs-of-life).
    let limit = if seen.target == TargetState::Ready {
        limit.limit?
    } else {
        limit
            .limit?
            .max(THROTTLED_EVENTS.saturating_add(inputs.limits.interval))
    };
    Set::after(seen.last_sign?, limit)
}

fn limit(timing: &Timing) -> SignedDuration {
    let missed = LEAST_SILENCE.max(timing.interval.saturating_mul(MISSED_CHECKS));
    missed.saturating_add(timing.hook_time)
}
