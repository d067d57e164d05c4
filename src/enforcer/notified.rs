//! What users were notified of, so that it is published once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    deadline::messages::Deadlines,
    rollout::{
        Clock,
        guard::{Guard, GuardKind},
    },
};

/// How often an initialization that is held is told of.
const HOLD_SELDOM: Duration = Duration::from_mins(1);

/// What was told already, so that it is told once.
#[derive(Clone, Debug, Default)]
pub struct NotifiedState {
    /// That a deadline approaches: whose, counted from when.
    approaching: Option<(Clock, Timestamp)>,
    /// What deadlines people set for this rollout.
    deadlines: Option<Deadlines>,
    /// That a deadline of this rollout has passed, while it has.
    reported: BTreeSet<Clock>,
    /// That a deadline has passed, in the metrics.
    counted: BTreeSet<Clock>,
    /// That a breach is withheld, and why.
    withheld: Option<(Clock, GuardKind)>,
    /// When the initialization was last held, as it was told.
    held_at: Option<Instant>,
}

/// Whether a hold is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldNews {
    /// It is the first.
    First,
    /// The last one was told of a while ago.
    Again,
    /// One was told of a moment ago.
    Told,
}

// === impl NotifiedState ===

impl NotifiedState {
    /// Notes that another rollout began: what is said of it is news.
    pub fn another_rollout(&mut self) {
        self.withheld = None;
        self.reported.clear();
        self.counted.clear();
    }

    /// Whether it was announced already that this deadline approaches.
    #[must_use]
    pub fn is_announced(&self, announcement: (Clock, Timestamp)) -> bool {
        self.approaching == Some(announcement)
    }

    /// Notes that it is announced.
    pub fn announced(&mut self, announcement: (Clock, Timestamp)) {
        self.approaching = Some(announcement);
    }

    /// Notes which deadlines people set, and answers what is to be put on record if they changed them.
    pub fn deadlines_are(&mut self, deadlines: Option<Deadlines>) -> Option<String> {
        let before = std::mem::replace(&mut self.deadlines, deadlines);
        deadlines
            .zip(before)
            .and_then(|(now, before)| now.changed_since(before))
    }

    /// Whether it was told already that nothing is done about this clock's breach, and why.
    #[must_use]
    pub fn is_withheld(&self, clock: Clock, why: Guard) -> bool {
        self.withheld == Some((clock, why.kind()))
    }

    /// Notes that it is told.
    pub fn withheld(&mut self, clock: Clock, why: Guard) {
        self.withheld = Some((clock, why.kind()));
    }

    /// Whether it was told already that this clock's deadline has passed.
    #[must_use]
    pub fn is_reported(&self, clock: Clock) -> bool {
        self.reported.contains(&clock)
    }

    /// Notes that it is told.
    pub fn reported(&mut self, clock: Clock) {
        self.reported.insert(clock);
    }

    /// Forgets what was told of deadlines that are not passed any more: should they pass again, that is news.
    pub fn keep_reported(&mut self, has_passed: impl Fn(Clock) -> bool) {
        self.reported.retain(|clock| has_passed(*clock));
    }

    /// Notes that a deadline has passed; answers whether it is to be counted, which is once for each rollout and clock.
    pub fn is_to_be_counted(&mut self, clock: Clock) -> bool {
        self.counted.insert(clock)
    }

    /// Notes that the initialization was held; answers whether that is worth a word, which it is once a minute at most.
    pub fn held(&mut self) -> HoldNews {
        let news = match self.held_at {
            None => HoldNews::First,
            Some(at) if at.elapsed() < HOLD_SELDOM => return HoldNews::Told,
            Some(_) => HoldNews::Again,
        };
        self.held_at = Some(Instant::now());
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_news_again_for_another_rollout_or_when_it_passed_again() {
        let mut notified = NotifiedState::default();
        notified.reported(Clock::STALL);
        notified.withheld(Clock::READINESS, Guard::Blind);
        assert!(notified.is_to_be_counted(Clock::STALL) && !notified.is_to_be_counted(Clock::STALL));
        assert!(notified.is_reported(Clock::STALL) && notified.is_withheld(Clock::READINESS, Guard::Blind));
        assert!(!notified.is_withheld(Clock::READINESS, Guard::Forbidden));
        notified.keep_reported(|_| false);
        assert!(!notified.is_reported(Clock::STALL));
        notified.another_rollout();
        assert!(!notified.is_withheld(Clock::READINESS, Guard::Blind) && notified.is_to_be_counted(Clock::STALL));
    }

    #[test]
    fn a_hold_is_told_of_once_a_minute() {
        let mut notified = NotifiedState::default();
        assert_eq!((notified.held(), notified.held()), (HoldNews::First, HoldNews::Told));
        notified.held_at = notified.held_at.and_then(|at| at.checked_sub(HOLD_SELDOM));
        assert_eq!((notified.held(), notified.held()), (HoldNews::Again, HoldNews::Told));
    }
}
