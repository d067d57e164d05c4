//! How far the API server's clock is from ours, going by the `Date` header of its answers.
//!
//! A `Date` has whole seconds and was written at some moment between the request and the answer: each answer gives bounds,
//! and many answers narrow them. What lies within the bounds may be no skew at all, so that is what it is taken for.

use jiff::{SignedDuration, Timestamp};

/// A `Date` header cuts off what is less.
const DATE_RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// Bounds of what the API server's clock is ahead of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Skew(Option<Bounds>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Bounds {
    least: SignedDuration,
    most: SignedDuration,
}

// === impl Skew ===

impl Skew {
    /// Notes an answer: its `Date`, and when by our own clock it was asked for and came.
    pub fn note(&mut self, date: Timestamp, asked: Timestamp, answered: Timestamp) {
        let said = Bounds {
            least: date.duration_since(answered),
            most: date.duration_since(asked).saturating_add(DATE_RESOLUTION),
        };
        let narrowed = self.0.map(|known| Bounds {
            least: known.least.max(said.least),
            most: known.most.min(said.most),
        });
        // Bounds that contradict each other mean that somebody's clock was set: the latest answer counts.
        self.0 = Some(narrowed.filter(|bounds| bounds.least <= bounds.most).unwrap_or(said));
    }

    /// What is to be added to our own time to have the API server's: the least that the answers allow.
    #[must_use]
    pub fn offset(&self) -> SignedDuration {
        self.0.map_or(SignedDuration::ZERO, |bounds| {
            // Not `clamp`, which panics should the bounds ever be the wrong way round.
            SignedDuration::ZERO.max(bounds.least).min(bounds.most)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deadline::conditions::MOST_SKEW;

    fn is_too_much(skew: &Skew) -> bool {
        skew.offset().abs() > MOST_SKEW
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("a time")
    }

    fn millis(millis: i64) -> SignedDuration {
        SignedDuration::from_millis(millis)
    }

    /// An answer of a server whose clock is `ahead` of ours.
    fn answer(skew: &mut Skew, ahead: i64, asked: i64, written: i64, answered: i64) {
        let date = at(written + ahead).as_second();
        let date = Timestamp::from_second(date).expect("a time");
        skew.note(date, at(asked), at(answered));
    }

    #[test]
    fn clocks_that_agree_have_no_skew_whatever_the_header_cuts_off() {
        let mut skew = Skew::default();
        for asked in (0..5_000).step_by(70) {
            answer(&mut skew, 0, asked, asked + 3, asked + 6);
            assert_eq!(skew.offset(), SignedDuration::ZERO);
        }
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!(Skew::default().offset(), SignedDuration::ZERO);
        assert!(!is_too_much(&Skew::default()));
    }

    #[test]
    fn many_answers_narrow_it() {
        for ahead in [-90_000, -2_500, 2_500, 90_000] {
            let mut skew = Skew::default();
            for asked in (0..5_000).step_by(70) {
                answer(&mut skew, ahead, asked, asked + 3, asked + 6);
            }
            let wrong = (skew.offset() - millis(ahead)).abs();
            assert!(wrong <= millis(80), "{ahead}: wrong by {wrong:?}");
            assert_eq!(is_too_much(&skew), ahead.abs() > 30_000);
        }
    }

    #[test]
    fn a_clock_that_is_set_is_believed_at_its_next_answer() {
        let mut skew = Skew::default();
        answer(&mut skew, 0, 0, 3, 6);
        answer(&mut skew, 60_000, 100, 103, 106);
        assert!(is_too_much(&skew));
        answer(&mut skew, 0, 200, 203, 206);
        assert!(!is_too_much(&skew));
    }

    #[test]
    fn an_answer_that_took_long_says_little() {
        let mut skew = Skew::default();
        answer(&mut skew, 0, 0, 59_000, 60_000);
        assert_eq!(skew.offset(), SignedDuration::ZERO);
    }

    proptest! {
        #[test]
        fn it_never_claims_more_than_there_is(
            ahead in -100_000i64..100_000,
            answers in proptest::collection::vec((0i64..100_000, 0i64..3_000, 0i64..3_000), 1..20),
        ) {
            let mut skew = Skew::default();
            for (asked, until_written, until_answered) in answers {
                answer(&mut skew, ahead, asked, asked + until_written, asked + until_written + until_answered);
                let offset = skew.offset();
                prop_assert!(offset.abs() <= millis(ahead.abs()));
                prop_assert!(offset.is_zero() || offset.is_negative() == (ahead < 0));
            }
        }
    }
}
