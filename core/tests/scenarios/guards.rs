//! Guards: what is held back while something beside the rollout speaks against acting, and what never is.

use curfew_core::{
    deadline::{Conditions, breaker::BreakerAnswer, conditions::FlaggerEvidence},
    rollout::{
        Clock,
        guard::{Cause, Guard},
        remedy::Remedy,
    },
};
use jiff::SignedDuration;
use serde_json::json;

use super::{requested, scenario::Scenario};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// What is asked for under these conditions, in the second in which a rollout that was never ready is due.
fn due_under(conditions: Conditions) -> Remedy {
    let mut scenario = Scenario::begin();
    scenario.conditions = conditions;
    scenario.until(60);
    scenario.remedies.last().expect("a remedy").1.clone()
}

/// Conditions that hold a rollback back, and by which guard; with several, by the first of them.
fn guarded() -> Vec<(Conditions, Guard)> {
    let clear = Conditions::default();
    let cause = Cause::Breaches { count: 21, limit: 20 };
    let held = BreakerAnswer::Hold(Scenario::at(300), cause);
    vec![
        (
            Conditions {
                pods_visible: false,
                skew: seconds(31),
                stale_watch: Some(seconds(151)),
                breaker: held,
                forbidden: true,
                ..clear
            },
            Guard::Blind,
        ),
        (
            Conditions {
                skew: seconds(-31),
                stale_watch: Some(seconds(151)),
                breaker: held,
                ..clear
            },
            Guard::Skewed(seconds(-31)),
        ),
        (
            Conditions {
                stale_watch: Some(seconds(151)),
                breaker: held,
                ..clear
            },
            Guard::Stale(seconds(151)),
        ),
        (
            Conditions {
                breaker: held,
                forbidden: true,
                ..clear
            },
            Guard::Breaker(Scenario::at(300), cause),
        ),
        (
            Conditions {
                forbidden: true,
                ..clear
            },
            Guard::Forbidden,
        ),
    ]
}

#[test]
fn a_rollback_is_held_back_by_the_first_guard() {
    for (conditions, guard) in guarded() {
        match due_under(conditions) {
            Remedy::Withhold(breach, found) => assert_eq!((breach.clock, found), (Clock::READINESS, guard)),
            other => panic!("{guard:?}: {other:?}"),
        }
    }
}

#[test]
fn skew_that_is_tolerated_holds_nothing_back() {
    for skew in [-30, 30] {
        let conditions = Conditions {
            skew: seconds(skew),
            ..Conditions::default()
        };
        assert!(matches!(due_under(conditions), Remedy::RollBack(..)), "{skew}");
    }
}

#[test]
fn what_was_requested_goes_on_whatever_speaks_against_it() {
    let news = Conditions {
        outage_ended: Some(seconds(0)),
        ..Conditions::default()
    };
    for conditions in guarded().into_iter().map(|(conditions, _)| conditions).chain([news]) {
        let mut scenario = Scenario::begin();
        scenario.until(60);
        requested(&mut scenario);
        scenario.conditions = conditions;
        scenario.until(70);
        let (_, last) = scenario.remedies.last().expect("a remedy");
        assert!(matches!(last, Remedy::RollBack(..)), "{conditions:?}: {last:?}");
        // Nor is it kept from being taken back, or confirmed.
        scenario.phase("Failed");
        let (_, last) = scenario.remedies.last().expect("a remedy");
        assert_eq!(*last, Remedy::Confirm, "{conditions:?}");
    }
}

#[test]
fn after_an_outage_what_fails_or_is_reported_waits_for_news() {
    for (ended, expected) in [(0, Some(10)), (9, Some(1)), (10, None), (600, None)] {
        let conditions = Conditions {
            outage_ended: Some(seconds(ended)),
            ..Conditions::default()
        };
        match (due_under(conditions), expected) {
            (Remedy::Await(until), Some(wait)) => assert_eq!(until, Scenario::at(60 + wait), "{ended}"),
            (Remedy::RollBack(..), None) => {}
            (other, _) => panic!("{ended}: {other:?}"),
        }
    }
    // Ready pods that do not advance are only reported.
    let mut stalled = Scenario::begin();
    stalled.conditions.outage_ended = Some(seconds(0));
    stalled.ready(4).until(30).flagger(&[("canaryWeight", json!(10))]);
    assert_eq!(stalled.remedies, [], "nothing is due yet");
    stalled.until(131);
    assert_eq!(stalled.reported(Clock::STALL), Some(130));
    assert!(
        matches!(stalled.remedies[..], [(130, Remedy::Await(_)), ..]),
        "{:?}",
        stalled.remedies
    );
}

#[test]
fn the_last_resort_waits_for_news_and_while_anything_is_in_doubt() {
    let doubts = [
        Conditions {
            skew: seconds(31),
            ..Conditions::default()
        },
        Conditions {
            stale_watch: Some(seconds(151)),
            ..Conditions::default()
        },
        Conditions {
            outage_ended: Some(seconds(0)),
            ..Conditions::default()
        },
    ];
    for doubt in doubts {
        let mut scenario = Scenario::begin();
        scenario.last_event = Some(30);
        scenario.until(60);
        requested(&mut scenario);
        let flagger = FlaggerEvidence {
            down: true,
            routes_on_primary: true,
        };
        scenario.conditions = Conditions { flagger, ..doubt };
        scenario.until(120);
        let (second, last) = scenario.remedies.last().expect("a remedy");
        assert_eq!((*second, last), (120, &Remedy::Await(Scenario::at(130))), "{doubt:?}");
    }
}
