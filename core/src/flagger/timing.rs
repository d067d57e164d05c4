//! Flagger's checks of a Canary: how long one lasts, and when one that may be under way has ended for certain.

use jiff::{SignedDuration, Timestamp};

use super::{canary::Canary, effective::Effective};
use crate::deadline::limits::CHECK_MARGIN;

/// How often Flagger's client asks the API server in a second at most, and how often at once before that holds: the
/// defaults of its `-kubeconfig-qps` and `-kubeconfig-burst`.
const REQUESTS_PER_SECOND: u64 = 100;
const BURST: u64 = 250;
/// So many requests it makes in a check of a rollout that is not ready.
const REQUESTS: u64 = 14;
/// A check that waits for nothing takes less, and of an Event only the second is known.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// What is given to Flagger on top of an interval to look at its target.
pub(super) fn check_margin(canaries: usize) -> SignedDuration {
    CHECK_MARGIN.max(check_lasts(canaries))
}

/// How long one of Flagger's checks lasts at the most from the read of the Canary to that of its target, where it looks
/// after so many Canaries: all of them may be due at once, and wait for one another (`docs/flagger.md#checks`).
fn check_lasts(canaries: usize) -> SignedDuration {
    let canaries = u64::try_from(canaries).unwrap_or(u64::MAX);
    let waiting = canaries.saturating_mul(REQUESTS).saturating_sub(BURST);
    let millis = i64::try_from(waiting.saturating_mul(1000) / REQUESTS_PER_SECOND).unwrap_or(i64::MAX);
    SignedDuration::from_millis(millis).max(SECOND)
}

/// How long Flagger takes to look at its target once more, at the most, where it looks after so many Canaries.
#[must_use]
pub fn check_time(canary: &Canary, canaries: usize) -> SignedDuration {
    let effective = Effective::of(canary);
    let look = effective.interval.saturating_add(effective.hook_time);
    let look = SignedDuration::try_from(look).unwrap_or(SignedDuration::MAX);
    look.saturating_add(check_margin(canaries))
}

/// From when on no check is under way any more that read the Canary before `moment`, by the last Event of Flagger's about
/// it. Its checks of one Canary follow each other, and one of a rollout that is not ready ends with an Event, unless there
/// were so many that Flagger's client keeps them back. Where checks last longer than an interval, Flagger does not do what
/// it is asked to, and no longer than that is waited for it.
#[must_use]
pub fn checks_ended_at(
    moment: Timestamp,
    last_event: Option<Timestamp>,
    canary: &Canary,
    canaries: usize,
) -> Option<Timestamp> {
    let interval = SignedDuration::try_from(Effective::of(canary).interval).unwrap_or(SignedDuration::MAX);
    let has_ended = last_event > Some(moment);
    let wait = if has_ended {
        SECOND
    } else {
        check_lasts(canaries).min(interval)
    };
    moment.checked_add(wait).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canary(interval: &str) -> Canary {
        Canary::from_json(json!({"metadata": {"name": "web"}, "spec": {"analysis": {"interval": interval}}}))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("a time")
    }

    #[test]
    fn a_look_lasts_longer_the_more_canaries_there_are() {
        for (canaries, millis) in [
            (0, 1_000),
            (1, 1_000),
            (25, 1_000),
            (26, 1_140),
            (75, 8_000),
            (300, 39_500),
        ] {
            assert_eq!(
                check_lasts(canaries),
                SignedDuration::from_millis(millis),
                "{canaries} Canaries"
            );
        }
        assert!(check_lasts(usize::MAX) > SignedDuration::from_hours(1));
    }

    #[test]
    fn the_next_check_comes_within_an_interval_and_what_checks_last() {
        for (canaries, seconds) in [(1, 35), (53, 35), (100, 42)] {
            let expected = SignedDuration::from_secs(seconds);
            let found = check_time(&canary("30s"), canaries);
            assert!(
                (found - expected).abs() < SignedDuration::from_secs(1),
                "{canaries}: {found}"
            );
        }
    }

    #[test]
    fn a_look_has_ended_when_an_event_says_so_or_it_would_have_lasted_too_long() {
        // The first lever at 100.5 s; checks last a second with one Canary, 8 s with 75.
        for (case, interval, canaries, event, ended) in [
            ("few Canaries", "30s", 1, None, 101_500),
            ("many, and no Event is known", "30s", 75, None, 108_500),
            ("a look ended since", "30s", 75, Some(101_000), 101_500),
            (
                "of an Event only the second is known",
                "30s",
                75,
                Some(100_000),
                108_500,
            ),
            ("more than Flagger can do in an interval", "10s", 300, None, 110_500),
        ] {
            let found = checks_ended_at(at(100_500), event.map(at), &canary(interval), canaries);
            assert_eq!(found, Some(at(ended)), "{case}");
        }
        assert_eq!(checks_ended_at(Timestamp::MAX, None, &canary("30s"), 1), None);
    }
}
