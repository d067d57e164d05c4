//! The leaky budget of unready time.
//!
//! Unready time counts second for second, ready time pays back a quarter of its length, progress empties the
//! budget. So a target that is never ready fails at its deadline, one that flaps more than a fifth of the
//! time cannot buy itself time (`docs/flagger.md#f5`), and a blip does not kill a healthy rollout.

use jiff::{SignedDuration, Timestamp};

/// How much of the unready time ready time pays back: one part in so many.
const PAYBACK: i32 = 4;

/// What the target has been doing since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Course {
    /// It is not as ready as Flagger needs it, and that counts.
    Accruing,
    /// It is ready.
    Recovering,
    /// Neither counts nor pays back.
    Paused,
}

/// Unready time spent, and how it is changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// What was spent at `since`.
    pub spent: SignedDuration,
    /// What has happened since then.
    pub course: Course,
    /// When that began.
    pub since: Timestamp,
}

// === impl Budget ===

impl Budget {
    /// An empty budget.
    #[must_use]
    pub fn new(course: Course, since: Timestamp) -> Self {
        Self {
            spent: SignedDuration::ZERO,
            course,
            since,
        }
    }

    /// What is spent at a moment. Moments before `since` are taken for `since`.
    #[must_use]
    pub fn spent_at(&self, now: Timestamp) -> SignedDuration {
        let passed = now.duration_since(self.since).max(SignedDuration::ZERO);
        match self.course {
            Course::Accruing => self.spent.saturating_add(passed),
            Course::Recovering => self.spent.saturating_sub(passed / PAYBACK).max(SignedDuration::ZERO),
            Course::Paused => self.spent,
        }
    }

    /// The budget from `now` on, with another course. The same course changes nothing.
    #[must_use]
    pub fn turn(self, course: Course, now: Timestamp) -> Self {
        if course == self.course {
            return self;
        }
        Self {
            spent: self.spent_at(now),
            course,
            since: now.max(self.since),
        }
    }

    /// When the spent time reaches `share` of it, if things go on as they do.
    #[must_use]
    pub fn reaches(&self, share: SignedDuration) -> Option<Timestamp> {
        match self.course {
            Course::Accruing => self.since.checked_add(share.saturating_sub(self.spent)).ok(),
            Course::Recovering | Course::Paused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SECOND * i32::try_from(seconds).expect("a small number")
    }

    #[test]
    fn a_target_that_is_never_ready_fails_at_its_deadline() {
        let budget = Budget::new(Course::Accruing, at(100));
        assert_eq!(budget.reaches(SECOND * 60), Some(at(160)));
        assert_eq!(budget.spent_at(at(160)), SECOND * 60);
    }

    #[test]
    fn ready_time_pays_back_a_quarter_and_never_more_than_was_spent() {
        let budget = Budget {
            spent: SECOND * 20,
            course: Course::Recovering,
            since: at(0),
        };
        assert_eq!(budget.spent_at(at(40)), SECOND * 10);
        assert_eq!(budget.spent_at(at(1000)), SignedDuration::ZERO);
        assert_eq!(budget.reaches(SECOND * 60), None);
    }

    #[test]
    fn frozen_time_does_neither() {
        let budget = Budget {
            spent: SECOND * 20,
            course: Course::Paused,
            since: at(0),
        };
        assert_eq!(budget.spent_at(at(1000)), SECOND * 20);
        assert_eq!(
            budget.turn(Course::Accruing, at(1000)).reaches(SECOND * 60),
            Some(at(1040))
        );
    }

    #[test]
    fn the_same_course_leaves_the_start_alone() {
        let budget = Budget::new(Course::Accruing, at(0));
        assert_eq!(budget.turn(Course::Accruing, at(30)), budget);
    }

    #[test]
    fn flapping_more_than_a_fifth_of_the_time_reaches_any_deadline() {
        // docs/flagger.md#f5: 3 s up, 6 s down, deadline 25 s.
        let mut budget = Budget::new(Course::Accruing, at(0));
        let mut now = 0;
        while budget.spent_at(at(now)) < SECOND * 25 {
            budget = budget.turn(
                if now % 9 < 6 {
                    Course::Accruing
                } else {
                    Course::Recovering
                },
                at(now),
            );
            now += 1;
            assert!(now < 60, "never reached");
        }
        assert_eq!(now, 40);
    }

    proptest! {
        #[test]
        fn looking_more_often_changes_nothing(
            steps in proptest::collection::vec((0u8..3, 0u32..5_000), 1..40),
            extra in 1u32..5,
        ) {
            let course = |kind| match kind { 0 => Course::Accruing, 1 => Course::Recovering, _ => Course::Paused };
            let millis = |ms: u32| SignedDuration::from_millis(i64::from(ms) * i64::from(4 * extra));
            let (mut seldom, mut often) = (Budget::new(Course::Recovering, at(0)), Budget::new(Course::Recovering, at(0)));
            let mut now = at(0);
            for (kind, length) in steps {
                seldom = seldom.turn(course(kind), now);
                for _ in 0..extra {
                    often = often.turn(course(kind), now);
                    now += millis(length) / i32::try_from(extra).expect("small");
                }
            }
            prop_assert_eq!(seldom.spent_at(now), often.spent_at(now));
        }

        #[test]
        fn the_budget_is_never_negative_and_never_above_the_time_that_passed(
            steps in proptest::collection::vec((0u8..3, 0i64..100), 0..40),
        ) {
            let mut budget = Budget::new(Course::Accruing, at(0));
            let mut now = 0;
            for (kind, seconds) in steps {
                let course = match kind { 0 => Course::Accruing, 1 => Course::Recovering, _ => Course::Paused };
                budget = budget.turn(course, at(now));
                now += seconds;
                let spent = budget.spent_at(at(now));
                prop_assert!(spent >= SignedDuration::ZERO && spent <= SECOND * i32::try_from(now).expect("small"));
            }
        }
    }
}
