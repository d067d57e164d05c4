//! The clocks: what each of them watches, and when its deadline is.
//!
//! Each clock is one function from an observation, a stamp and the limits to a [`Reading`]: the deadline that it has set
//! and what happens then, or nothing while it does not run.

use jiff::{SignedDuration, Timestamp};

use super::{
    conditions::Inputs,
    limits::{Limit, Limits},
};
use crate::{
    policy::canary_policy::Action,
    rollout::{
        Clock, Stage,
        budget::Course,
        observation::{Lifecycle, Observation, TargetState},
        stamp::{Rollout, Stamp},
    },
};

/// How seldom client-go passes on Events once it throttles them (`EventCorrelator`: a burst of 25, then one in 300 s).
const THROTTLED_EVENTS: SignedDuration = SignedDuration::from_secs(300);

/// What one clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// Which clock.
    pub clock: Clock,
    /// The limit that it measures against.
    pub limit: SignedDuration,
    /// When the limit is reached, if things go on as they do.
    pub deadline: Timestamp,
    /// What happens then.
    pub action: Action,
    /// When most of the limit is used up, and that is announced.
    pub warn_at: Option<Timestamp>,
}

// === impl Clock ===

impl Clock {
    /// What this clock says now, if it runs.
    #[must_use]
    pub fn read(self, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Option<Reading> {
        let Inputs {
            observation: seen,
            limits,
            conditions: _,
        } = *inputs;
        let Limit { action, limit } = limits.of_clock(self);
        if action == Action::Disabled {
            return None;
        }
        let Set { deadline, warn_at } = match self {
            Self::Initialization => initialization(seen),
            Self::Readiness => readiness(seen, stamp, limit?, limits.warn_at_percent),
            Self::Crashes => crashes(seen, stamp, limits),
            Self::Gate => gate(seen, stamp, limit?, now),
            Self::Stall => stall(inputs, stamp, limit?, now),
            Self::Silence => silence(seen, silence_limit(seen, limit?, limits)),
            Self::Promotion => promotion(seen, limit?),
            Self::Rollout => rollout(seen, stamp, limit?, limits.warn_at_percent),
            Self::Suspended => suspended(seen, stamp, limit?),
        }?;
        // The phase may allow less than the policy.
        let action = match action {
            Action::RollBack if !seen.stage.can_roll_back() || seen.lifecycle != Lifecycle::Live => Action::Report,
            Action::Hold if !seen.can_be_held() => Action::Report,
            action => action,
        };
        let limit = limit.unwrap_or_else(|| deadline.duration_since(now).max(SignedDuration::ZERO));
        Some(Reading {
            clock: self,
            limit,
            deadline,
            action,
            warn_at,
        })
    }
}

/// A deadline that a clock has set.
struct Set {
    deadline: Timestamp,
    warn_at: Option<Timestamp>,
}

fn plain(start: Timestamp, limit: SignedDuration) -> Option<Set> {
    Some(Set {
        deadline: start.checked_add(limit).ok()?,
        warn_at: None,
    })
}

/// Flagger fails an initialization whose primary does not get ready in time, and scales the live workload to 0
/// (`docs/flagger.md#f8`): the deadline is before that.
fn initialization(seen: &Observation) -> Option<Set> {
    let initialization = seen.initialization.filter(|_| seen.is_live())?;
    Some(Set {
        deadline: initialization.hold_by.or(initialization.reported_at)?,
        warn_at: None,
    })
}

fn readiness(seen: &Observation, stamp: &Stamp, limit: SignedDuration, warn_at_percent: u8) -> Option<Set> {
    let budget = stamp.rollout.as_ref().filter(|_| seen.counts())?.budget;
    Some(Set {
        deadline: budget.reaches(limit)?,
        warn_at: budget.reaches(share(limit, warn_at_percent)),
    })
}

/// The deadline is the exit that was one too many; before that there is none.
fn crashes(seen: &Observation, stamp: &Stamp, limits: &Limits) -> Option<Set> {
    let rollout = stamp.rollout.as_ref().filter(|_| seen.counts())?;
    let deadline = rollout
        .crashes
        .limit_reached(limits.crash_restarts, limits.crashes.limit?)?;
    Some(Set {
        deadline,
        warn_at: None,
    })
}

fn gate(seen: &Observation, stamp: &Stamp, limit: SignedDuration, now: Timestamp) -> Option<Set> {
    if !seen.is_live() {
        return None;
    }
    let start = match seen.stage {
        Stage::GatedStart | Stage::GatedPromotion => seen.phase_since?,
        Stage::Progressing if seen.behind_gate() => could_advance_since(seen, stamp.rollout.as_ref()?, now),
        _ => return None,
    };
    plain(start, limit)
}

fn stall(inputs: &Inputs<'_>, stamp: &Stamp, limit: SignedDuration, now: Timestamp) -> Option<Set> {
    let Inputs {
        observation: seen,
        limits,
        conditions: _,
    } = *inputs;
    let rollout = stamp.rollout.as_ref()?;
    // Of a kind whose readiness nobody here can see, this is all that can be told.
    let may_advance = seen.target == TargetState::Ready || seen.foreign;
    if !seen.is_progressing() || seen.behind_gate() || !may_advance {
        return None;
    }
    // Without signs of life it is Flagger that is silent, not the rollout that stalls.
    let silent_at = seen.last_sign?.checked_add(limits.silence.limit?).ok()?;
    plain(could_advance_since(seen, rollout, now), limit).filter(|_| now < silent_at)
}

/// Since when a target that is ready now could have made the next progress: until then its pods were what it waited for,
/// and no approval was asked for.
fn could_advance_since(seen: &Observation, rollout: &Rollout, now: Timestamp) -> Timestamp {
    let ready_since = match rollout.budget.course {
        Course::Recovering => rollout.budget.since,
        Course::Accruing | Course::Paused if seen.foreign => rollout.progressed_at,
        Course::Accruing | Course::Paused => now,
    };
    rollout.progressed_at.max(ready_since)
}

fn silence(seen: &Observation, limit: SignedDuration) -> Option<Set> {
    if !seen.is_progressing() || seen.behind_gate() {
        return None;
    }
    plain(seen.last_sign?, limit)
}

/// While the target is not ready, Flagger writes Events only, and after 25 of them about one object its client passes on
/// no more than one in five minutes (`docs/flagger.md#signs-of-life`).
fn silence_limit(seen: &Observation, limit: SignedDuration, limits: &Limits) -> SignedDuration {
    if seen.target == TargetState::Ready {
        limit
    } else {
        limit.max(THROTTLED_EVENTS.saturating_add(limits.interval))
    }
}

fn promotion(seen: &Observation, limit: SignedDuration) -> Option<Set> {
    if !seen.is_live() || seen.stage != Stage::Promoting {
        return None;
    }
    // While it promotes, Flagger writes the status when it moves the weight, and then only.
    plain(seen.phase_since?.max(seen.status_written?), limit)
}

fn rollout(seen: &Observation, stamp: &Stamp, limit: SignedDuration, warn_at_percent: u8) -> Option<Set> {
    let spent = stamp
        .rollout
        .as_ref()
        .filter(|_| seen.running && seen.is_live())?
        .running;
    Some(Set {
        deadline: spent.reaches(limit)?,
        warn_at: spent.reaches(share(limit, warn_at_percent)),
    })
}

fn suspended(seen: &Observation, stamp: &Stamp, limit: SignedDuration) -> Option<Set> {
    if seen.lifecycle != Lifecycle::Suspended || !seen.on_canary {
        return None;
    }
    plain(stamp.suspended_since?, limit)
}

fn share(limit: SignedDuration, percent: u8) -> SignedDuration {
    limit
        .checked_mul(i32::from(percent))
        .map_or(limit, |hundredfold| hundredfold / 100)
}
