//! What is handed over and what is not: the levers that each target takes, and the verdicts that still hold.

use curfew_core::{
    deadline::{
        Clock,
        observe::TargetSeen,
        remedy::{Levers, Remedy, TargetLever, Withheld},
        stamp::Stamp,
        verdict::Outcome,
    },
    policy::canary_policy::Action,
};
use serde_json::{Value, json};

use super::{
    film::{Film, deployment},
    requested,
};

/// A `DaemonSet` of four, so many of them available.
fn daemon_set(available: i64) -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop", "uid": "2", "generation": 3},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {}},
        "status": {"observedGeneration": 3, "desiredNumberScheduled": 4, "currentNumberScheduled": 4,
            "updatedNumberScheduled": 4, "numberAvailable": available}})
}

/// A rollout of a `DaemonSet` that is not ready.
fn daemons() -> Film {
    let mut film = Film::begin();
    film.canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    (film.target, film.primary) = (Some(daemon_set(3)), Some(daemon_set(4)));
    film.stamp = Stamp::default();
    film.look();
    film
}

#[test]
fn what_is_withheld_has_an_end_where_it_is_known() {
    let mut film = Film::begin();
    film.until(58).push("v3").until(60);
    let Some((60, Remedy::Withhold(_, why))) = film.remedies.first() else {
        panic!("{:?}", film.remedies)
    };
    assert_eq!(why.until(), Some(Film::at(58 + 15)));
    assert_eq!(Withheld::Unproven(Film::at(3)).until(), Some(Film::at(3)));
    assert_eq!(Withheld::Breaker(Film::at(4), None).until(), Some(Film::at(4)));
    assert_eq!(Withheld::Blind.until(), None);
    assert_eq!(Withheld::NotLooking(TargetSeen::Paused).until(), None);
}

#[test]
fn a_daemon_set_is_failed_by_its_clock_and_goes_on_being_when_it_gets_ready() {
    let mut film = daemons();
    film.until(60);
    let (60, Remedy::RollBack(_, levers)) = film.remedies[0] else {
        panic!("{:?}", film.remedies)
    };
    let both = Levers {
        fail_checks: true,
        target: TargetLever::BackdateTransition,
    };
    assert_eq!(levers, both);
    requested(&mut film);
    film.until(65);
    film.target = Some(daemon_set(4));
    film.look();
    assert_eq!((film.seen().target, film.remedies.len()), (TargetSeen::Ready, 1));
}

#[test]
fn whatever_clock_ran_out_a_target_that_is_not_ready_needs_its_lever() {
    let deployed = || {
        let mut film = Film::begin();
        film.ready(3);
        film
    };
    let films: [(fn() -> Film, TargetLever); 2] = [
        (deployed, TargetLever::ExceedDeadline),
        (daemons, TargetLever::BackdateTransition),
    ];
    for (film, unready) in films {
        for (gets_ready, lever) in [(false, unready), (true, TargetLever::None)] {
            let mut film = film();
            film.policy.clocks.readiness.action = Action::Report;
            film.policy.clocks.rollout.action = Action::RollBack;
            film.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("5m");
            if gets_ready {
                let is_daemon_set = unready == TargetLever::BackdateTransition;
                film.target = Some(if is_daemon_set {
                    daemon_set(4)
                } else {
                    deployment("v2", 4, 4)
                });
            }
            film.look();
            film.until(300);
            let Some((300, Remedy::RollBack(breach, levers))) = film.remedies.last() else {
                panic!("{:?}", film.remedies)
            };
            assert_eq!((breach.clock, levers.target), (Clock::Rollout, lever), "{gets_ready}");
        }
    }
}

#[test]
fn nothing_fails_a_target_of_a_kind_that_nobody_here_can_see() {
    let mut film = Film::begin();
    film.policy.clocks.stall.action = Action::RollBack;
    film.spec(
        "targetRef",
        json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}),
    );
    (film.target, film.primary) = (None, None);
    film.look();
    film.until(200);
    assert!(
        matches!(film.remedies[..], [(100, Remedy::Report(breach))] if breach.clock == Clock::Stall),
        "{:?}",
        film.remedies
    );
}

#[test]
fn a_verdict_that_was_taken_back_or_answered_is_not_taken_back_again() {
    for result in [Outcome::Withheld, Outcome::Confirmed] {
        let mut film = Film::begin();
        film.until(60);
        requested(&mut film);
        film.until(62).spec("suspend", json!(true));
        assert_eq!(film.remedies.last(), Some(&(62, Remedy::Withdraw)));
        film.stamp.verdict.as_mut().expect("a verdict").result = result;
        film.remedies.clear();
        film.until(100);
        assert_eq!(film.remedies, []);
        film.phase("Failed");
        assert_eq!(film.remedies, []);
    }
}

#[test]
fn a_verdict_on_an_earlier_rollout_has_nothing_to_do_with_a_later_one() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    // It was promoted all the same, and the process ended before it noted that.
    film.until(70).phase("Succeeded").until(80).remedies.clear();
    film.phase("Progressing").until(90).phase("Failed");
    assert_eq!(film.remedies, []);
}

#[test]
fn nothing_is_handed_over_while_flagger_waits_for_the_primary() {
    let mut film = Film::begin();
    film.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("5m");
    film.until(10);
    film.primary = Some(deployment("v1", 4, 3));
    film.look();
    film.until(300);
    let why = Withheld::NotLooking(TargetSeen::PrimaryNotReady);
    assert!(
        matches!(film.remedies[..], [(300, Remedy::Withhold(_, withheld))] if withheld == why),
        "{:?}",
        film.remedies
    );
    film.primary = Some(deployment("v1", 4, 4));
    film.look();
    assert_eq!(film.rolled_back_at(), Some(300));
}

#[test]
fn a_verdict_handed_over_before_promotion_is_taken_back_from_the_next_revision() {
    let mut film = Film::begin();
    film.until(10).ready(4).until(50).phase("WaitingPromotion");
    film.until(100).ready(3).until(160);
    assert_eq!(film.rolled_back_at(), Some(160));
    requested(&mut film);
    film.until(170).push("v3");
    film.remedies.clear();
    film.canary["status"]["lastAppliedSpec"] = json!("v3");
    film.phase("Progressing");
    assert_eq!(film.remedies, [(170, Remedy::Withdraw)]);
}

#[test]
fn what_curfew_said_about_a_rollout_that_did_not_fail_finishes_nothing() {
    for phase in ["Succeeded", "Promoting"] {
        let mut film = Film::begin();
        film.until(60);
        requested(&mut film);
        film.remedies.clear();
        film.canary["status"]["conditions"][0]["message"] = json!("Curfew: ended in Flagger's place");
        film.phase(phase);
        assert_eq!(film.remedies, [(60, Remedy::Withdraw)], "{phase}");
    }
}
