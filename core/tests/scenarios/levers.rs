//! What is handed over and what is not: the levers that each target takes, and the verdicts that still hold.

use curfew_core::{
    policy::action::Action,
    rollout::{
        Clock,
        guard::{Cause, Guard},
        levers::{Levers, TargetLever},
        observation::TargetState,
        remedy::Remedy,
        stamp::Stamp,
        verdict::Outcome,
    },
};
use serde_json::{Value, json};

use super::{
    requested,
    scenario::{Scenario, deployment},
};

/// A `DaemonSet` of four, so many of them available.
fn daemon_set(available: i64) -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop", "uid": "2", "generation": 3},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {}},
        "status": {"observedGeneration": 3, "desiredNumberScheduled": 4, "currentNumberScheduled": 4,
            "updatedNumberScheduled": 4, "numberAvailable": available}})
}

/// A rollout of a `DaemonSet` that is not ready.
fn daemons() -> Scenario {
    let mut scenario = Scenario::begin();
    scenario.canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    (scenario.target, scenario.primary) = (Some(daemon_set(3)), Some(daemon_set(4)));
    scenario.stamp = Stamp::default();
    scenario.look();
    scenario
}

#[test]
fn what_is_withheld_has_an_end_where_it_is_known() {
    let mut scenario = Scenario::begin();
    scenario.until(58).push("v3").until(60);
    let Some((60, Remedy::Withhold(_, why))) = scenario.remedies.first() else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!(why.until(), Some(Scenario::at(58 + 15)));
    assert_eq!(Guard::Unproven(Scenario::at(3)).until(), Some(Scenario::at(3)));
    assert_eq!(
        Guard::Breaker(Scenario::at(4), Cause::Starting).until(),
        Some(Scenario::at(4))
    );
    assert_eq!(Guard::Blind.until(), None);
    assert_eq!(Guard::NotLooking(TargetState::Paused).until(), None);
}

#[test]
fn a_daemon_set_is_failed_by_its_clock_and_goes_on_being_when_it_gets_ready() {
    let mut scenario = daemons();
    scenario.until(60);
    let (60, Remedy::RollBack(_, levers)) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    let both = Levers {
        fail_checks: true,
        target: TargetLever::BackdateTransition,
    };
    assert_eq!(levers, both);
    requested(&mut scenario);
    scenario.until(65);
    scenario.target = Some(daemon_set(4));
    scenario.look();
    assert_eq!(
        (scenario.seen().target, scenario.remedies.len()),
        (TargetState::Ready, 1)
    );
}

#[test]
fn whatever_clock_ran_out_a_target_that_is_not_ready_needs_its_lever() {
    let deployed = || {
        let mut scenario = Scenario::begin();
        scenario.ready(3);
        scenario
    };
    let scenarios: [(fn() -> Scenario, TargetLever); 2] = [
        (deployed, TargetLever::ExceedDeadline),
        (daemons, TargetLever::BackdateTransition),
    ];
    for (scenario, unready) in scenarios {
        for (gets_ready, lever) in [(false, unready), (true, TargetLever::None)] {
            let mut scenario = scenario();
            scenario.policy.clocks.entry(Clock::READINESS).action = Some(Action::Report);
            scenario.policy.clocks.entry(Clock::ROLLOUT).action = Some(Action::RollBack);
            scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("5m");
            if gets_ready {
                let is_daemon_set = unready == TargetLever::BackdateTransition;
                scenario.target = Some(if is_daemon_set {
                    daemon_set(4)
                } else {
                    deployment("v2", 4, 4)
                });
            }
            scenario.look();
            scenario.until(300);
            let Some((300, Remedy::RollBack(breach, levers))) = scenario.remedies.last() else {
                panic!("{:?}", scenario.remedies)
            };
            assert_eq!((breach.clock, levers.target), (Clock::ROLLOUT, lever), "{gets_ready}");
        }
    }
}

#[test]
fn nothing_fails_a_target_of_a_kind_that_nobody_here_can_see() {
    let mut scenario = Scenario::begin();
    scenario.policy.clocks.entry(Clock::STALL).action = Some(Action::RollBack);
    scenario.spec(
        "targetRef",
        json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}),
    );
    (scenario.target, scenario.primary) = (None, None);
    scenario.look();
    scenario.until(200);
    assert!(
        matches!(scenario.remedies[..], [(100, Remedy::Report(breach))] if breach.clock == Clock::STALL),
        "{:?}",
        scenario.remedies
    );
}

#[test]
fn a_verdict_that_was_taken_back_or_answered_is_not_taken_back_again() {
    for result in [Outcome::Withheld, Outcome::Confirmed] {
        let mut scenario = Scenario::begin();
        scenario.until(60);
        requested(&mut scenario);
        scenario.until(62).spec("suspend", json!(true));
        assert_eq!(scenario.remedies.last(), Some(&(62, Remedy::Withdraw)));
        scenario.stamp.verdict.as_mut().expect("a verdict").result = result;
        scenario.remedies.clear();
        scenario.until(100);
        assert_eq!(scenario.remedies, []);
        scenario.phase("Failed");
        assert_eq!(scenario.remedies, []);
    }
}

#[test]
fn a_verdict_on_an_earlier_rollout_has_nothing_to_do_with_a_later_one() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    // It was promoted all the same, and the process ended before it noted that.
    scenario.until(70).phase("Succeeded").until(80).remedies.clear();
    scenario.phase("Progressing").until(90).phase("Failed");
    assert_eq!(scenario.remedies, []);
}

#[test]
fn nothing_is_handed_over_while_flagger_waits_for_the_primary() {
    let mut scenario = Scenario::begin();
    scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("5m");
    scenario.until(10);
    scenario.primary = Some(deployment("v1", 4, 3));
    scenario.look();
    scenario.until(300);
    let why = Guard::NotLooking(TargetState::PrimaryNotReady);
    assert!(
        matches!(scenario.remedies[..], [(300, Remedy::Withhold(_, withheld))] if withheld == why),
        "{:?}",
        scenario.remedies
    );
    scenario.primary = Some(deployment("v1", 4, 4));
    scenario.look();
    assert_eq!(scenario.rolled_back_at(), Some(300));
}

#[test]
fn a_verdict_handed_over_before_promotion_is_taken_back_from_the_next_revision() {
    let mut scenario = Scenario::begin();
    scenario.until(10).ready(4).until(50).phase("WaitingPromotion");
    scenario.until(100).ready(3).until(160);
    assert_eq!(scenario.rolled_back_at(), Some(160));
    requested(&mut scenario);
    scenario.until(170).push("v3");
    scenario.remedies.clear();
    scenario.canary["status"]["lastAppliedSpec"] = json!("v3");
    scenario.phase("Progressing");
    assert_eq!(scenario.remedies, [(170, Remedy::Withdraw)]);
}

#[test]
fn what_curfew_said_about_a_rollout_that_did_not_fail_finishes_nothing() {
    for phase in ["Succeeded", "Promoting"] {
        let mut scenario = Scenario::begin();
        scenario.until(60);
        requested(&mut scenario);
        scenario.remedies.clear();
        scenario.canary["status"]["conditions"][0]["message"] = json!("Curfew: ended in Flagger's place");
        scenario.phase(phase);
        assert_eq!(scenario.remedies, [(60, Remedy::Withdraw)], "{phase}");
    }
}
