//! Judging: what the clocks say now.

use jiff::Timestamp;

use super::{
    Clock,
    breach::Breach,
    clocks::Reading,
    conditions::Inputs,
    flagger_timing::CHECK_MARGIN,
    limits::Limits,
    observation::{Observation, TargetState},
    stamp::Stamp,
};
use crate::policy::canary_policy::{Action, Enforcement};

/// What the clocks say, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Evaluation {
    /// The finding.
    pub state: RolloutState,
    /// Deadlines that have passed and are only to be told.
    pub reports: Vec<Breach>,
    /// The next deadline that would act or report.
    pub pending: Option<Pending>,
    /// When the rollout is to be rolled back, if things go on as they do; in the past while it is breached.
    pub rolls_back_at: Option<Timestamp>,
    /// When something changes by itself: a deadline, a warning, the end of an excuse.
    pub changes_at: Option<Timestamp>,
}

/// The clocks' finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RolloutState {
    /// No rollout runs, or nobody watches it.
    Idle,
    /// A rollout runs within its limits.
    Running,
    /// A rollout stands still, and no time counts.
    Paused,
    /// A deadline has passed, and the rollout is to be rolled back.
    Breached(Breach),
    /// An initialization must be held.
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
pub fn evaluate(inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Evaluation {
    let Inputs {
        observation: seen,
        limits,
        conditions: _,
    } = *inputs;
    let mut evaluation = Evaluation {
        state: state(seen),
        reports: Vec::new(),
        pending: None,
        rolls_back_at: None,
        changes_at: None,
    };
    if limits.mode == Enforcement::Disabled {
        return Evaluation {
            state: RolloutState::Idle,
            ..evaluation
        };
    }
    if let TargetState::Growing(until) = seen.target {
        evaluation.changes_at = Some(until);
    }
    let readings: Vec<_> = Clock::ALL
        .into_iter()
        .filter_map(|clock| clock.read(seen, stamp, limits, now))
        .collect();
    let (passed, coming): (Vec<_>, Vec<_>) = readings.into_iter().partition(|reading| now >= reading.deadline);

    for reading in &coming {
        let warn_at = reading.warn_at.filter(|warn_at| now < *warn_at);
        let next = warn_at.unwrap_or(reading.deadline);
        evaluation.changes_at = Some(evaluation.changes_at.map_or(next, |changes_at| changes_at.min(next)));
    }
    // While Flagger looks as it should, its silence is put off with every check; naming it would mean a stamp for each. It
    // comes into question once a check is missing.
    let silence_named_at = seen
        .last_sign
        .and_then(|sign| sign.checked_add(limits.interval.saturating_add(CHECK_MARGIN)).ok());
    let silence_comes = coming.iter().any(|reading| reading.clock == Clock::Silence);
    if let Some(moment) = silence_named_at.filter(|moment| silence_comes && now < *moment) {
        evaluation.changes_at = Some(
            evaluation
                .changes_at
                .map_or(moment, |changes_at| changes_at.min(moment)),
        );
    }
    evaluation.pending = coming
        .iter()
        .filter(|reading| reading.clock != Clock::Silence || silence_named_at.is_some_and(|moment| now >= moment))
        .min_by_key(|reading| reading.deadline)
        .map(|reading| Pending {
            clock: reading.clock,
            deadline: reading.deadline,
            approaching: reading.warn_at.is_some_and(|warn_at| now >= warn_at),
        });
    evaluation.rolls_back_at = coming
        .iter()
        .filter(|reading| reading.action == Action::RollBack)
        .map(|reading| reading.deadline)
        .min();
    evaluation.reports = passed
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
        evaluation = Evaluation {
            state: RolloutState::Breached(breach),
            pending: None,
            rolls_back_at: Some(breach.deadline),
            changes_at: None,
            ..evaluation
        };
    } else if let Some(hold) = first(Action::Hold) {
        evaluation.state = RolloutState::Holding(hold.breach());
    }
    evaluation
}

/// A breach holds whatever the pods do, since our own levers are no progress. A hold or a goodbye of the user, a phase that
/// moved and a longer limit take it back.
fn latched(seen: &Observation, stamp: &Stamp, limits: &Limits) -> Option<Breach> {
    let breach = stamp.rollout.as_ref().filter(|_| seen.counts())?.breach?;
    let limit = limits.of_clock(breach.clock);
    (limit.action == Action::RollBack && limit.limit.is_some_and(|limit| limit <= breach.limit)).then_some(breach)
}

fn state(seen: &Observation) -> RolloutState {
    if !seen.running {
        return RolloutState::Idle;
    }
    if !seen.is_live() {
        return RolloutState::Paused;
    }
    match seen.target {
        TargetState::Ready | TargetState::Unready | TargetState::Growing(_) => RolloutState::Running,
        TargetState::Unobserved | TargetState::Paused | TargetState::PrimaryNotReady | TargetState::Missing => {
            if seen.phase.can_roll_back() {
                RolloutState::Paused
            } else {
                RolloutState::Running
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
