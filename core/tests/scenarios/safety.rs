//! What keeps the enforcer from doing harm: evidence before the last resort, and controllers that do not keep up.

use curfew_core::{
    deadline::conditions::FlaggerEvidence,
    flagger::{canary::Canary, workload::Workload},
    rollout::{
        budget::Course,
        guard::Guard,
        levers::{Levers, TargetLever},
        remedy::Remedy,
        stamp::Stamp,
    },
};
use serde_json::json;

use super::{requested, scenario::Scenario};

const DOWN: FlaggerEvidence = FlaggerEvidence {
    down: true,
    routes_on_primary: true,
};

/// A rollout that was never ready, whose verdict was handed over at its deadline, and Flagger silent since the second 30.
fn unanswered() -> Scenario {
    let mut scenario = Scenario::begin();
    scenario.last_event = Some(30);
    scenario.until(60);
    requested(&mut scenario);
    scenario
}

fn last_resort_at(scenario: &Scenario) -> Option<i64> {
    let found = scenario
        .remedies
        .iter()
        .find(|(_, remedy)| matches!(remedy, Remedy::LastResort(_)));
    found.map(|(second, _)| *second)
}

#[test]
fn the_last_resort_comes_a_whole_silence_after_the_verdict() {
    let mut scenario = unanswered();
    scenario.conditions.flagger = DOWN;
    scenario.until(119);
    assert_eq!(last_resort_at(&scenario), None);
    scenario.until(120);
    assert_eq!(last_resort_at(&scenario), Some(120));
}

#[test]
fn without_all_of_the_evidence_the_last_resort_is_not_taken() {
    type Change = fn(&mut Scenario);
    let missing: [(&str, Change); 13] = [
        ("nothing says that Flagger is down", |scenario| {
            scenario.conditions.flagger.down = false;
        }),
        ("the routes are not on the primary", |scenario| {
            scenario.conditions.flagger.routes_on_primary = false;
        }),
        ("the policy forbids it", |scenario| {
            scenario.policy.last_resort = false;
        }),
        ("Flagger gave a sign of life", |scenario| {
            scenario.last_event = None;
        }),
        ("the primary is not ready", |scenario| {
            scenario.primary.as_mut().expect("a primary")["status"]["availableReplicas"] = json!(3);
        }),
        ("traffic was moved", |scenario| {
            scenario.canary["status"]["canaryWeight"] = json!(10);
        }),
        ("something was analysed", |scenario| {
            scenario.canary["status"]["iterations"] = json!(1);
        }),
        ("KEDA would scale it up again", |scenario| {
            scenario.canary["spec"]["autoscalerRef"] = json!({"kind": "ScaledObject", "name": "web"});
        }),
        ("the phase is another one", |scenario| {
            scenario.canary["status"]["phase"] = json!("WaitingPromotion");
        }),
        ("a fix was pushed", |scenario| {
            scenario.push("v3");
        }),
        ("it is suspended", |scenario| {
            scenario.canary["spec"]["suspend"] = json!(true);
        }),
        ("it was found running", |scenario| {
            scenario.stamp.rollout.as_mut().expect("a rollout").unproven_until = Some(Scenario::at(10));
        }),
        ("no verdict was handed over", |scenario| {
            scenario.stamp.verdict = None;
        }),
    ];
    for (what, change) in missing {
        let mut scenario = unanswered();
        scenario.conditions.flagger = DOWN;
        change(&mut scenario);
        scenario.until(400);
        assert_eq!(last_resort_at(&scenario), None, "{what}");
    }
}

#[test]
fn a_last_resort_that_was_cut_short_is_finished() {
    let mut scenario = unanswered();
    scenario.conditions.flagger = DOWN;
    scenario.until(120);
    // The phase was written; whether the verdict was too, is not known.
    scenario.canary["status"]["conditions"][0]["message"] = json!("Curfew: 4 of 4 pods not ready");
    scenario.phase("Failed");
    assert_eq!(scenario.remedies.last(), Some(&(120, Remedy::FinishLastResort)));
    // Also by a Curfew that only knows what was written.
    scenario.restart();
    scenario.look();
    assert_eq!(scenario.remedies.last(), Some(&(120, Remedy::FinishLastResort)));
}

/// Where a hook may take two minutes.
fn hooked() -> Scenario {
    let mut scenario = Scenario::begin();
    scenario.spec(
        "analysis",
        json!({"interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
            "webhooks": [{"type": "rollout", "timeout": "2m"}]}),
    );
    scenario
}

/// The levers on the target, as they were asked for one after the other.
fn target_levers(scenario: &Scenario) -> Vec<(i64, TargetLever)> {
    let levers = scenario.remedies.iter().filter_map(|(second, remedy)| match remedy {
        Remedy::RollBack(_, levers) => Some((*second, levers.target)),
        _ => None,
    });
    levers.collect()
}

#[test]
fn a_look_that_a_hook_holds_never_meets_a_lever_on_the_target() {
    let mut scenario = hooked();
    scenario
        .until(10)
        .ready(4)
        .until(20)
        .flagger(&[("canaryWeight", json!(10))]);
    scenario.until(30).ready(3).until(154).until(155).until(300);
    let end = Scenario::at(30 + 120 + 5);
    assert_eq!(
        target_levers(&scenario),
        [(90, TargetLever::Later(Some(end))), (155, TargetLever::ExceedDeadline)]
    );
}

#[test]
fn levers_know_when_the_one_that_has_to_wait_may_be_pulled() {
    for (target, later) in [
        (TargetLever::Later(Some(Scenario::at(155))), Some(Scenario::at(155))),
        (TargetLever::Later(None), None),
        (TargetLever::ExceedDeadline, None),
        (TargetLever::BackdateTransition, None),
        (TargetLever::None, None),
    ] {
        let levers = Levers {
            fail_checks: true,
            target,
        };
        assert_eq!(levers.later(), later, "{target:?}");
    }
}

#[test]
fn a_lever_that_stands_stays_when_a_look_may_be_held() {
    let mut scenario = hooked();
    scenario.until(60);
    requested(&mut scenario);
    scenario.target.as_mut().expect("a target")["status"]["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "Curfew: 1 of 4 pods not ready"}]);
    scenario.until(65).ready(4).until(70).ready(3).until(300);
    assert_eq!(target_levers(&scenario), [(60, TargetLever::ExceedDeadline)]);
}

#[test]
fn a_target_that_never_was_ready_is_held_by_no_hook() {
    let mut scenario = hooked();
    scenario.until(300);
    assert_eq!(target_levers(&scenario), [(60, TargetLever::ExceedDeadline)]);
}

#[test]
fn where_the_analysis_is_skipped_no_hook_is_called() {
    let mut scenario = hooked();
    scenario.spec("skipAnalysis", json!(true));
    scenario.until(10).ready(4).until(30).ready(3).until(300);
    let levers = target_levers(&scenario);
    assert!(
        matches!(levers[..], [(second, TargetLever::ExceedDeadline)] if second < 100),
        "{levers:?}"
    );
}

#[test]
fn a_rollout_that_begins_in_the_future_is_rolled_back_once() {
    let mut scenario = Scenario::begin();
    let condition = &mut scenario.canary["status"]["conditions"][0];
    condition["lastTransitionTime"] = json!(Scenario::at(100_000).to_string());
    condition["lastUpdateTime"] = json!(Scenario::at(100_000).to_string());
    scenario.forget().look();
    scenario.until(30).until(200);
    assert!(scenario.rolled_back_at().is_some(), "{:?}", scenario.remedies);
    requested(&mut scenario);
    scenario.phase("Failed");
    assert_eq!(scenario.remedies.last(), Some(&(200, Remedy::Confirm)));
}

#[test]
fn a_controller_that_does_not_count_ready_pods_fails_nobody() {
    let mut scenario = Scenario::begin();
    scenario.until(20);
    for pod in &mut scenario.pods {
        (pod.ready, pod.since) = (true, 20);
    }
    scenario.look();
    scenario.until(300);
    let (second, Remedy::Withhold(_, why)) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!((second, why), (60, Guard::ControllersBehind));
    assert_eq!(scenario.rolled_back_at(), None);
}

#[test]
fn pods_that_got_ready_a_moment_ago_may_still_be_counted() {
    let mut scenario = Scenario::begin();
    scenario.until(55);
    for pod in &mut scenario.pods {
        (pod.ready, pod.since) = (true, 55);
    }
    scenario.look();
    scenario.until(61);
    assert_eq!(scenario.rolled_back_at(), Some(60));
}

#[test]
fn pods_that_have_to_be_ready_for_a_while_are_no_sign_of_a_slow_controller() {
    let mut scenario = Scenario::begin();
    scenario.target.as_mut().expect("a target")["spec"]["minReadySeconds"] = json!(120);
    scenario.until(20);
    for pod in &mut scenario.pods {
        (pod.ready, pod.since) = (true, 20);
    }
    scenario.look();
    scenario.until(61);
    assert_eq!(scenario.rolled_back_at(), Some(60));
    assert_eq!(
        Workload::deployment(scenario.target.as_ref().expect("a target")).min_ready,
        120
    );
    assert_eq!(
        Stamp::recall(&Canary::from_json(scenario.canary.clone()), None, scenario.now).rollout,
        None
    );
}

#[test]
fn a_lever_that_a_killed_process_left_without_a_verdict_is_taken_back_or_taken_over() {
    let ours = || {
        json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "Curfew: 1 of 4 pods not ready"}])
    };
    let mut scenario = Scenario::begin();
    scenario.until(60);
    assert_eq!(scenario.rolled_back_at(), Some(60));
    // The condition was set; then the process ended, before it wrote anything down.
    scenario.target.as_mut().expect("a target")["status"]["conditions"] = ours();
    scenario.remedies.clear();
    let mut taken_over = scenario;
    taken_over.restart().look();
    assert!(matches!(taken_over.remedies[..], [(60, Remedy::RollBack(..))]));

    let mut scenario = taken_over;
    scenario.remedies.clear();
    scenario.push("v3").forget();
    scenario.flagger(&[("lastAppliedSpec", json!("v3"))]);
    assert_eq!(scenario.remedies.last(), Some(&(60, Remedy::Withdraw)));

    // Kubernetes' own condition of that name is none of ours.
    scenario.target.as_mut().expect("a target")["status"]["conditions"][0]["message"] = json!("has timed out");
    scenario.remedies.clear();
    scenario.look();
    assert_eq!(scenario.remedies, []);
}

#[test]
fn a_verdict_holds_over_a_restart_although_the_pods_are_ready_by_then() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.until(70).ready(4);
    scenario.remedies.clear();
    scenario.restart().look();
    assert!(
        matches!(scenario.remedies[..], [(70, Remedy::RollBack(..))]),
        "{:?}",
        scenario.remedies
    );

    // A longer deadline takes it back all the same.
    scenario.restart().spec("progressDeadlineSeconds", json!(300));
    assert_eq!(scenario.remedies.last(), Some(&(70, Remedy::Withdraw)));
}

#[test]
fn pods_that_are_ready_at_a_restart_are_not_counted_as_unready_until_the_next_look() {
    let mut scenario = Scenario::begin();
    scenario.until(20).ready(4).until(25);
    scenario.ready(3);
    // In the same second: Curfew ends, the pods get ready, and the next Curfew looks.
    scenario.restart().ready(4).until(50);
    let budget = scenario.stamp.rollout.as_ref().expect("a rollout").budget;
    assert_eq!(budget.course, Course::Recovering);
    assert!(budget.since <= Scenario::at(25), "{budget:?}");
}
