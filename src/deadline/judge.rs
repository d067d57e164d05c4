//! Judging: what the clocks say now.

use jiff::{SignedDuration, Timestamp};

use super::{
    Clock,
    limits::Limits,
    observe::{Observation, Standing, TargetSeen},
    stamp::{Breach, Stamp},
};
use crate::policy::canary_policy::{Action, Enforcement};

/// What the clocks say, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// The finding.
    pub state: State,
    /// The next deadline that would act or report.
    pub pending: Option<Pending>,
    /// When something changes by itself: a deadline, a warning, the end of an excuse.
    pub look_at: Option<Timestamp>,
}

/// The clocks' finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No rollout runs, or nobody watches it.
    Idle,
    /// A rollout runs within its limits.
    Running,
    /// A rollout stands still, and no time counts.
    Frozen,
    /// A deadline has passed.
    Breached(Breach),
}

/// A deadline to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// Whose.
    pub clock: Clock,
    /// When.
    pub deadline: Timestamp,
    /// Whether so much of the limit is used up that it is announced.
    pub approaching: bool,
}

/// Reads every clock.
#[must_use]
pub fn judge(seen: &Observation, stamp: &Stamp, limits: &Limits, now: Timestamp) -> Judgement {
    let idle = Judgement {
        state: State::Idle,
        pending: None,
        look_at: None,
    };
    let off = limits.mode == Enforcement::Off || limits.readiness_action == Action::Off;
    let Some(rollout) = stamp.rollout.as_ref().filter(|_| seen.running && !off) else {
        return idle;
    };
    if !seen.phase.can_roll_back() {
        return Judgement {
            state: State::Running,
            ..idle
        };
    }
    // A user's hold or goodbye takes the reason for a breach away.
    if seen.standing != Standing::Live {
        return Judgement {
            state: State::Frozen,
            ..idle
        };
    }
    // A breach holds whatever the pods do, since our own levers are no progress; a longer deadline takes it back.
    if let Some(breach) = rollout.breach.filter(|breach| limits.readiness <= breach.limit) {
        return Judgement {
            state: State::Breached(breach),
            ..idle
        };
    }
    let Some(deadline) = rollout.budget.reaches(limits.readiness) else {
        let (state, look_at) = match seen.target {
            TargetSeen::Ready | TargetSeen::Unready => (State::Running, None),
            TargetSeen::Growing(until) => (State::Running, Some(until)),
            TargetSeen::Unobserved | TargetSeen::Paused | TargetSeen::PrimaryNotReady | TargetSeen::Missing => {
                (State::Frozen, None)
            }
        };
        return Judgement {
            state,
            pending: None,
            look_at,
        };
    };
    if now >= deadline {
        let breach = Breach {
            clock: Clock::Readiness,
            deadline,
            limit: limits.readiness,
        };
        return Judgement {
            state: State::Breached(breach),
            ..idle
        };
    }
    let warn_at = rollout.budget.reaches(share(limits.readiness, limits.warn_at_percent));
    let approaching = warn_at.is_none_or(|warn_at| now >= warn_at);
    Judgement {
        state: State::Running,
        pending: Some(Pending {
            clock: Clock::Readiness,
            deadline,
            approaching,
        }),
        look_at: Some(warn_at.filter(|_| !approaching).unwrap_or(deadline)),
    }
}

fn share(limit: SignedDuration, percent: u8) -> SignedDuration {
    limit
        .checked_mul(i32::from(percent))
        .map_or(limit, |hundredfold| hundredfold / 100)
}
