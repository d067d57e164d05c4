//! Judging: what the clocks say now.

use jiff::{SignedDuration, Timestamp};

use super::{
    clocks::{
        CLOCKS,
        spec::{ClockSpec, Set},
    },
    conditions::Inputs,
    limits::{CHECK_MARGIN, Limits},
};
use crate::{
    policy::{action::Action, canary_policy::Enforcement},
    rollout::{
        Clock,
        breach::Breach,
        observation::{Lifecycle, Observation, TargetState},
        stamp::Stamp,
    },
};

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

/// A controller that looks at a spec a moment later, and a primary that Flagger has just updated, are no standstill that is
/// worth a stamp.
const MOMENT: SignedDuration = SignedDuration::from_secs(10);

/// What one clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reading {
    /// Which clock.
    clock: Clock,
    /// The limit that it measures against.
    limit: SignedDuration,
    /// When the limit is reached, if things go on as they do.
    deadline: Timestamp,
    /// What happens then.
    action: Action,
    /// When most of the limit is used up, and that is announced.
    warn_at: Option<Timestamp>,
}

/// What the clocks say, by whether their deadlines have passed.
struct Readings {
    passed: Vec<Reading>,
    coming: Vec<Reading>,
    /// While Flagger checks as it should, its silence is put off with every check; naming it would mean a stamp for each.
    /// It comes into question once a check is missing: then.
    silence_named_at: Option<Timestamp>,
}

/// Reads every clock.
#[must_use]
pub fn evaluate(inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Evaluation {
    let Inputs {
        observation: seen,
        limits,
        conditions: _,
    } = *inputs;
    if limits.mode == Enforcement::Disabled {
        return Evaluation {
            state: RolloutState::Idle,
            reports: Vec::new(),
            pending: None,
            rolls_back_at: None,
            changes_at: None,
        };
    }
    let readings = Readings::of(inputs, stamp, now);
    let grows_until = match seen.target {
        TargetState::Growing(until) => Some(until),
        _ => None,
    };
    let evaluation = Evaluation {
        state: state(seen),
        reports: readings.reports(),
        pending: readings.pending(now),
        rolls_back_at: readings.rolls_back_at(),
        changes_at: readings.changes_at(now).into_iter().chain(grows_until).min(),
    };
    let breach = latched(seen, stamp, limits).or_else(|| readings.first_passed(Action::RollBack));
    match (breach, readings.first_passed(Action::Hold)) {
        // Nothing else is pending once a rollout is to end.
        (Some(breach), _) => Evaluation {
            state: RolloutState::Breached(breach),
            pending: None,
            rolls_back_at: Some(breach.deadline),
            changes_at: None,
            ..evaluation
        },
        (None, Some(hold)) => Evaluation {
            state: RolloutState::Holding(hold),
            ..evaluation
        },
        (None, None) => evaluation,
    }
}

/// What one clock says now, if it runs.
fn reading(spec: &ClockSpec, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Option<Reading> {
    let seen = inputs.observation;
    let limit = inputs.limits.of_clock(spec.settings.clock);
    if limit.action == Action::Disabled {
        return None;
    }
    let Set { deadline, warn_at } = (spec.read)(inputs, stamp, &limit, now)?;
    // The stage may allow less than the policy.
    let action = match limit.action {
        Action::RollBack if !seen.stage.can_roll_back() || seen.lifecycle != Lifecycle::Live => Action::Report,
        Action::Hold if !seen.can_be_held() => Action::Report,
        action => action,
    };
    let most = limit
        .limit
        .unwrap_or_else(|| deadline.duration_since(now).max(SignedDuration::ZERO));
    Some(Reading {
        clock: limit.clock,
        limit: most,
        deadline,
        action,
        warn_at,
    })
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
            if seen.stage.can_roll_back() {
                RolloutState::Paused
            } else {
                RolloutState::Running
            }
        }
    }
}

// === impl Readings ===

impl Readings {
    fn of(inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Self {
        let readings = CLOCKS.into_iter().filter_map(|spec| reading(spec, inputs, stamp, now));
        let (passed, coming) = readings.partition(|reading| now >= reading.deadline);
        let late = inputs.limits.interval.saturating_add(CHECK_MARGIN);
        let last_sign = inputs.observation.last_sign;
        Self {
            passed,
            coming,
            silence_named_at: last_sign.and_then(|sign| sign.checked_add(late).ok()),
        }
    }

    /// The next deadline, if it is named already.
    fn pending(&self, now: Timestamp) -> Option<Pending> {
        let is_silent = self.silence_named_at.is_some_and(|moment| now >= moment);
        let named = self.coming.iter().filter(|it| match it.clock {
            Clock::SILENCE => is_silent,
            Clock::STANDSTILL => it.has_lasted(MOMENT, now),
            _ => true,
        });
        let next = named.min_by_key(|reading| reading.deadline)?;
        Some(Pending {
            clock: next.clock,
            deadline: next.deadline,
            approaching: next.warn_at.is_some_and(|warn_at| now >= warn_at),
        })
    }

    fn rolls_back_at(&self) -> Option<Timestamp> {
        let coming = self.coming.iter().filter(|reading| reading.action == Action::RollBack);
        coming.map(|reading| reading.deadline).min()
    }

    /// When the next thing happens by itself: a warning, a deadline, or that silence is named.
    fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.coming.iter().map(|reading| {
            let warn_at = reading.warn_at.filter(|warn_at| now < *warn_at);
            warn_at.unwrap_or(reading.deadline)
        });
        let is_silence_coming = self.coming.iter().any(|reading| reading.clock == Clock::SILENCE);
        let named_at = self.silence_named_at.filter(|at| is_silence_coming && now < *at);
        next.chain(named_at).min()
    }

    /// What is only to be reported.
    fn reports(&self) -> Vec<Breach> {
        let passed = self.passed.iter().filter(|reading| reading.action == Action::Report);
        passed.map(Reading::breach).collect()
    }

    /// The first deadline that has passed and asks for this.
    fn first_passed(&self, action: Action) -> Option<Breach> {
        let passed = self.passed.iter().filter(|reading| reading.action == action);
        passed.min_by_key(|reading| reading.deadline).map(Reading::breach)
    }
}

// === impl Reading ===

impl Reading {
    /// Whether its time has counted for so long.
    fn has_lasted(&self, time: SignedDuration, now: Timestamp) -> bool {
        let since = self.deadline.checked_sub(self.limit);
        since.is_ok_and(|since| now.duration_since(since) >= time)
    }

    fn breach(&self) -> Breach {
        Breach {
            clock: self.clock,
            deadline: self.deadline,
            limit: self.limit,
        }
    }
}
