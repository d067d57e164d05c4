//! How soon something is done about a Canary again.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::{
    cluster::Error,
    rollout::{guard::Guard, observation::TargetState},
};

/// How soon the levers are asserted again while Flagger does not react, and how often it is looked whether the second of
/// them may follow the first.
pub(super) const REASSERT: Duration = Duration::from_secs(1);
/// The longest time between two looks at a running rollout: time is compared, never slept through.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// How often it is looked for evidence that Flagger is down.
const EVIDENCE_SELDOM: Duration = Duration::from_secs(20);

/// What was done about a Canary, as far as it matters for when that is done again.
#[derive(Debug, Default)]
pub struct LeverPace {
    /// When the levers were last asserted.
    asserted_at: Option<Instant>,
    /// Whether the target was ready then: the lever on it does not last while it is.
    asserted_when_ready: bool,
    /// How often in a row that was refused, or could not be tried.
    refusals: u32,
    /// Until when something that is not about the rollout speaks against acting, so that it is not even looked at afresh.
    restrained_until: Option<Timestamp>,
    /// When evidence that Flagger is down was last looked for.
    evidence_at: Option<Instant>,
}

// === impl LeverPace ===

impl LeverPace {
    /// Notes that the levers were asserted, so that it is waited before they are asserted again. That somebody else wrote at
    /// the same moment is no reason to wait: it is judged again at once.
    pub fn asserted<T>(&mut self, applied: &Result<T, Error>, when_ready: bool) {
        self.asserted_when_ready = when_ready;
        if applied.as_ref().is_err_and(Error::is_conflict) {
            return;
        }
        self.asserted_at = Some(Instant::now());
        self.refusals = if applied.is_err() {
            self.refusals.saturating_add(1)
        } else {
            0
        };
    }

    /// Notes that a guard held something back, so that it is looked at again when that may be over. What is about the
    /// rollout itself changes with it.
    pub fn held_back_by(&mut self, guard: Guard, now: Timestamp) {
        match guard {
            Guard::Skewed(_) | Guard::Stale(_) | Guard::Breaker(..) => self.restrain(guard.lasts_until(now)),
            // Listing pods is tried as seldom as a write that is refused.
            Guard::Blind => {
                self.asserted_at = Some(Instant::now());
                self.refusals = self.refusals.saturating_add(1);
            }
            Guard::FixPushed(_)
            | Guard::Unproven(_)
            | Guard::NotLooking(_)
            | Guard::ControllersBehind
            | Guard::Forbidden => {}
        }
    }

    /// Notes that nothing may be done before a moment.
    pub fn restrain(&mut self, until: Timestamp) {
        self.restrained_until = Some(until);
    }

    /// Notes that something is done now.
    pub fn released(&mut self) {
        self.restrained_until = None;
    }

    /// Notes that what was asked for is done.
    pub fn finished(&mut self) {
        self.refusals = 0;
    }

    /// Notes that another rollout began.
    pub fn another_rollout(&mut self) {
        self.finished();
        self.released();
    }

    /// Until when something that is not about the rollout speaks against acting.
    #[must_use]
    pub fn restrained_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.restrained_until.filter(|until| now < *until)
    }

    /// Notes that evidence was looked for.
    pub fn looked_for_evidence(&mut self) {
        self.evidence_at = Some(Instant::now());
    }

    /// Whether evidence was looked for a moment ago.
    #[must_use]
    pub fn has_just_looked_for_evidence(&self) -> bool {
        self.evidence_at.is_some_and(|at| at.elapsed() < EVIDENCE_SELDOM)
    }

    /// Whether the levers were asserted a moment ago, and it is waited before that is done again. The one on a target that
    /// was ready was taken away at once, and Flagger may look in the next moment in which it is not.
    #[must_use]
    pub fn rests(&self, target: TargetState, beyond: Option<SignedDuration>) -> bool {
        let was_in_vain = self.asserted_when_ready && self.refusals == 0 && target == TargetState::Unready;
        let pause = self.pause(beyond);
        let just_asserted = self.asserted_at.is_some_and(|asserted| asserted.elapsed() < pause);
        just_asserted && !was_in_vain
    }

    /// How long to wait until the levers are asserted again.
    #[must_use]
    pub fn left(&self, beyond: Option<SignedDuration>) -> Duration {
        let pause = self.pause(beyond);
        let rested = self.asserted_at.map(|asserted| asserted.elapsed());
        pause.saturating_sub(rested.filter(|rested| *rested < pause).unwrap_or_default())
    }

    /// The time between two assertions: longer each time that one was refused, and longer and longer if Flagger does not
    /// react. `beyond`: how long ago its checks should have done so. While it may yet react, whatever takes a lever away,
    /// such as pods that are ready for a moment, may not keep it away (`docs/flagger.md#l3`).
    fn pause(&self, beyond: Option<SignedDuration>) -> Duration {
        if self.refusals > 0 {
            return REASSERT.saturating_mul(1 << self.refusals.min(6)).min(LONGEST_SLEEP);
        }
        let beyond = beyond.and_then(|beyond| Duration::try_from(beyond).ok());
        beyond.unwrap_or_default().clamp(REASSERT, LONGEST_SLEEP)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> Result<(), Error> {
        let status = Status::failure("refused", "Refused").with_code(code);
        Err(Error::Api("write", kube::Error::Api(Box::new(status))))
    }

    #[test]
    fn a_lever_that_somebody_elses_write_refused_is_pulled_again_at_once() {
        for (applied, waits, longer) in [
            (Ok(()), true, false),
            (refused(403), true, true),
            (refused(409), false, false),
        ] {
            let mut pace = LeverPace::default();
            pace.asserted(&applied, false);
            assert_eq!(
                (pace.asserted_at.is_some(), pace.refusals > 0),
                (waits, longer),
                "{applied:?}"
            );
        }
    }

    #[test]
    fn the_pause_grows_with_refusals_and_with_the_time_that_flagger_does_not_react() {
        let pace = LeverPace::default();
        for (beyond, pause) in [
            (None, 1),
            (Some(-44), 1),
            (Some(0), 1),
            (Some(2), 2),
            (Some(10), 10),
            (Some(4000), 60),
        ] {
            let beyond = beyond.map(SignedDuration::from_secs);
            assert_eq!(pace.pause(beyond), Duration::from_secs(pause), "{beyond:?}");
        }
        let mut pace = LeverPace::default();
        for pause in [2, 4, 8, 16, 32, 60, 60] {
            pace.asserted(&refused(403), false);
            assert_eq!(pace.pause(None), Duration::from_secs(pause));
        }
        pace.finished();
        assert_eq!(pace.pause(None), REASSERT);
    }

    #[test]
    fn what_was_put_on_a_ready_target_is_gone_already() {
        for (when_ready, applied, target, rests) in [
            (false, Ok(()), TargetState::Unready, true),
            (true, Ok(()), TargetState::Unready, false),
            (true, Ok(()), TargetState::Ready, true),
            (true, refused(403), TargetState::Unready, true),
        ] {
            let mut pace = LeverPace::default();
            pace.asserted(&applied, when_ready);
            assert_eq!(pace.rests(target, None), rests, "{target:?} {applied:?}");
        }
        assert!(!LeverPace::default().rests(TargetState::Ready, None));
    }

    #[test]
    fn what_is_not_about_the_rollout_restrains_for_as_long_as_it_lasts() {
        let now = Timestamp::UNIX_EPOCH;
        let mut pace = LeverPace::default();
        pace.held_back_by(Guard::Skewed(SignedDuration::from_secs(40)), now);
        let until = pace.restrained_until(now).expect("it is restrained");
        assert_eq!(pace.restrained_until(until), None);
        pace.another_rollout();
        assert_eq!(pace.restrained_until(now), None);
        pace.held_back_by(Guard::Forbidden, now);
        assert_eq!(pace.restrained_until(now), None);
    }
}
