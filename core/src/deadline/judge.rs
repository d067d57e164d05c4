//! Judging: what the clocks say now.

use jiff::Timestamp;

use super::{
    clock::{Clock, Reading},
    limits::Limits,
    observe::{LOOK_MARGIN, Observation, TargetSeen},
    stamp::{Breach, Stamp},
};
use crate::policy::canary_policy::{Action, Enforcement};

/// What the clocks say, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// The finding.
    pub state: State,
    /// Deadlines that have passed and are only to be told.
    pub reports: Vec<Breach>,
    /// The next deadline that would act or report.
    pub pending: Option<Pending>,
    /// When the rollout is to be rolled back, if things go on as they do; in the past while it is breached.
    pub rolls_back_at: Option<Timestamp>,
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
    /// A deadline has passed, and the rollout is to be rolled back.
    Breached(Breach),
    /// An adoption must be held.
    Holding(Breach),
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
    let mut judgement = Judgement {
        state: state(seen),
        reports: Vec::new(),
        pending: None,
        rolls_back_at: None,
        look_at: None,
    };
    if limits.mode == Enforcement::Off {
        return Judgement {
            state: State::Idle,
            ..judgement
        };
    }
    if let TargetSeen::Growing(until) = seen.target {
        judgement.look_at = Some(until);
    }
    let readings: Vec<_> = Clock::ALL
        .into_iter()
        .filter_map(|clock| clock.read(seen, stamp, limits, now))
        .collect();
    let (passed, coming): (Vec<_>, Vec<_>) = readings.into_iter().partition(|reading| now >= reading.deadline);

    for reading in &coming {
        let warn_at = reading.warn_at.filter(|warn_at| now < *warn_at);
        let next = warn_at.unwrap_or(reading.deadline);
        judgement.look_at = Some(judgement.look_at.map_or(next, |look_at| look_at.min(next)));
    }
    // While Flagger looks as it should, its silence is put off with every look; naming it would mean a stamp for each. It
    // comes into question once a look is missing.
    let silence_named_at = seen
        .last_sign
        .and_then(|sign| sign.checked_add(limits.interval.saturating_add(LOOK_MARGIN)).ok());
    let silence_comes = coming.iter().any(|reading| reading.clock == Clock::Silence);
    if let Some(moment) = silence_named_at.filter(|moment| silence_comes && now < *moment) {
        judgement.look_at = Some(judgement.look_at.map_or(moment, |look_at| look_at.min(moment)));
    }
    judgement.pending = coming
        .iter()
        .filter(|reading| reading.clock != Clock::Silence || silence_named_at.is_some_and(|moment| now >= moment))
        .min_by_key(|reading| reading.deadline)
        .map(|reading| Pending {
            clock: reading.clock,
            deadline: reading.deadline,
            approaching: reading.warn_at.is_some_and(|warn_at| now >= warn_at),
        });
    judgement.rolls_back_at = coming
        .iter()
        .filter(|reading| reading.action == Action::RollBack)
        .map(|reading| reading.deadline)
        .min();
    judgement.reports = passed
        .iter()
        .filter(|reading| reading.action == Action::Report)
        .map(Reading::breach)
        .collect();
    let first = |action| {
        passed
            .iter()
            .filter(move |reading| reading.action == action)
            .min_by_key(|reading| reading.deadline)
    };
    if let Some(breach) = latched(seen, stamp, limits).or_else(|| first(Action::RollBack).map(Reading::breach)) {
        // Nothing else is pending once a rollout is to end.
        judgement = Judgement {
            state: State::Breached(breach),
            pending: None,
            rolls_back_at: Some(breach.deadline),
            look_at: None,
            ..judgement
        };
    } else if let Some(hold) = first(Action::Hold) {
        judgement.state = State::Holding(hold.breach());
    }
    judgement
}

/// A breach holds whatever the pods do, since our own levers are no progress. A hold or a goodbye of the user, a phase that
/// moved and a longer limit take it back.
fn latched(seen: &Observation, stamp: &Stamp, limits: &Limits) -> Option<Breach> {
    let breach = stamp.rollout.as_ref().filter(|_| seen.counts())?.breach?;
    let limit = limits.of_clock(breach.clock);
    (limit.action == Action::RollBack && limit.limit.is_some_and(|limit| limit <= breach.limit)).then_some(breach)
}

fn state(seen: &Observation) -> State {
    if !seen.running {
        return State::Idle;
    }
    if !seen.is_live() {
        return State::Frozen;
    }
    match seen.target {
        TargetSeen::Ready | TargetSeen::Unready | TargetSeen::Growing(_) => State::Running,
        TargetSeen::Unobserved | TargetSeen::Paused | TargetSeen::PrimaryNotReady | TargetSeen::Missing => {
            if seen.phase.can_roll_back() {
                State::Frozen
            } else {
                State::Running
            }
        }
    }
}

// === impl Reading ===

impl Reading {
    fn breach(&self) -> Breach {
        Breach {
            clock: self.clock,
            deadline: self.deadline,
            limit: self.limit,
        }
    }
}
