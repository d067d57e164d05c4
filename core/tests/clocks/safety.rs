//! What keeps the enforcer from doing harm: evidence before the last resort, and controllers that do not keep up.

use curfew_core::{
    deadline::{
        budget::Course,
        observe::Surroundings,
        remedy::{Levers, Remedy, TargetLever, Withheld},
        stamp::Stamp,
    },
    flagger::{canary::Canary, workload::Workload},
};
use serde_json::json;

use super::{film::Film, requested};

const DOWN: Surroundings = Surroundings {
    flagger_down: true,
    routes_on_primary: true,
    canaries: 1,
};

/// A rollout that was never ready, whose verdict was handed over at its deadline, and Flagger silent since the second 30.
fn unanswered() -> Film {
    let mut film = Film::begin();
    film.last_event = Some(30);
    film.until(60);
    requested(&mut film);
    film
}

fn last_resort_at(film: &Film) -> Option<i64> {
    let found = film
        .remedies
        .iter()
        .find(|(_, remedy)| matches!(remedy, Remedy::LastResort(_)));
    found.map(|(second, _)| *second)
}

#[test]
fn the_last_resort_comes_a_whole_silence_after_the_verdict() {
    let mut film = unanswered();
    film.surroundings = DOWN;
    film.until(119);
    assert_eq!(last_resort_at(&film), None);
    film.until(120);
    assert_eq!(last_resort_at(&film), Some(120));
}

#[test]
fn without_all_of_the_evidence_the_last_resort_is_not_taken() {
    type Change = fn(&mut Film);
    let missing: [(&str, Change); 13] = [
        ("nothing says that Flagger is down", |film| {
            film.surroundings.flagger_down = false;
        }),
        ("the routes are not on the primary", |film| {
            film.surroundings.routes_on_primary = false;
        }),
        ("the policy forbids it", |film| {
            film.policy.last_resort = false;
        }),
        ("Flagger gave a sign of life", |film| {
            film.last_event = None;
        }),
        ("the primary is not ready", |film| {
            film.primary.as_mut().expect("a primary")["status"]["availableReplicas"] = json!(3);
        }),
        ("traffic was moved", |film| {
            film.canary["status"]["canaryWeight"] = json!(10);
        }),
        ("something was analysed", |film| {
            film.canary["status"]["iterations"] = json!(1);
        }),
        ("KEDA would scale it up again", |film| {
            film.canary["spec"]["autoscalerRef"] = json!({"kind": "ScaledObject", "name": "web"});
        }),
        ("the phase is another one", |film| {
            film.canary["status"]["phase"] = json!("WaitingPromotion");
        }),
        ("a fix was pushed", |film| {
            film.push("v3");
        }),
        ("it is suspended", |film| {
            film.canary["spec"]["suspend"] = json!(true);
        }),
        ("it was found running", |film| {
            film.stamp.rollout.as_mut().expect("a rollout").unproven_until = Some(Film::at(10));
        }),
        ("no verdict was handed over", |film| {
            film.stamp.verdict = None;
        }),
    ];
    for (what, change) in missing {
        let mut film = unanswered();
        film.surroundings = DOWN;
        change(&mut film);
        film.until(400);
        assert_eq!(last_resort_at(&film), None, "{what}");
    }
}

#[test]
fn a_last_resort_that_was_cut_short_is_finished() {
    let mut film = unanswered();
    film.surroundings = DOWN;
    film.until(120);
    // The phase was written; whether the verdict was too, is not known.
    film.canary["status"]["conditions"][0]["message"] = json!("Curfew: 4 of 4 pods not ready");
    film.phase("Failed");
    assert_eq!(film.remedies.last(), Some(&(120, Remedy::FinishLastResort)));
    // Also by a Curfew that only knows what was written.
    film.restart();
    film.look();
    assert_eq!(film.remedies.last(), Some(&(120, Remedy::FinishLastResort)));
}

/// Where a hook may take two minutes.
fn hooked() -> Film {
    let mut film = Film::begin();
    film.spec(
        "analysis",
        json!({"interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
            "webhooks": [{"type": "rollout", "timeout": "2m"}]}),
    );
    film
}

/// The levers on the target, as they were asked for one after the other.
fn target_levers(film: &Film) -> Vec<(i64, TargetLever)> {
    let levers = film.remedies.iter().filter_map(|(second, remedy)| match remedy {
        Remedy::RollBack(_, levers) => Some((*second, levers.target)),
        _ => None,
    });
    levers.collect()
}

#[test]
fn a_look_that_a_hook_holds_never_meets_a_lever_on_the_target() {
    let mut film = hooked();
    film.until(10)
        .ready(4)
        .until(20)
        .flagger(&[("canaryWeight", json!(10))]);
    film.until(30).ready(3).until(154).until(155).until(300);
    let end = Film::at(30 + 120 + 5);
    assert_eq!(
        target_levers(&film),
        [(90, TargetLever::Later(Some(end))), (155, TargetLever::ExceedDeadline)]
    );
}

#[test]
fn levers_know_when_the_one_that_has_to_wait_may_be_pulled() {
    for (target, later) in [
        (TargetLever::Later(Some(Film::at(155))), Some(Film::at(155))),
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
    let mut film = hooked();
    film.until(60);
    requested(&mut film);
    film.target.as_mut().expect("a target")["status"]["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "Curfew: 1 of 4 pods not ready"}]);
    film.until(65).ready(4).until(70).ready(3).until(300);
    assert_eq!(target_levers(&film), [(60, TargetLever::ExceedDeadline)]);
}

#[test]
fn a_target_that_never_was_ready_is_held_by_no_hook() {
    let mut film = hooked();
    film.until(300);
    assert_eq!(target_levers(&film), [(60, TargetLever::ExceedDeadline)]);
}

#[test]
fn where_the_analysis_is_skipped_no_hook_is_called() {
    let mut film = hooked();
    film.spec("skipAnalysis", json!(true));
    film.until(10).ready(4).until(30).ready(3).until(300);
    let levers = target_levers(&film);
    assert!(
        matches!(levers[..], [(second, TargetLever::ExceedDeadline)] if second < 100),
        "{levers:?}"
    );
}

#[test]
fn a_rollout_that_begins_in_the_future_is_rolled_back_once() {
    let mut film = Film::begin();
    let condition = &mut film.canary["status"]["conditions"][0];
    condition["lastTransitionTime"] = json!(Film::at(100_000).to_string());
    condition["lastUpdateTime"] = json!(Film::at(100_000).to_string());
    film.forget().look();
    film.until(30).until(200);
    assert!(film.rolled_back_at().is_some(), "{:?}", film.remedies);
    requested(&mut film);
    film.phase("Failed");
    assert_eq!(film.remedies.last(), Some(&(200, Remedy::Confirm)));
}

#[test]
fn a_controller_that_does_not_count_ready_pods_fails_nobody() {
    let mut film = Film::begin();
    film.until(20);
    for pod in &mut film.pods {
        (pod.ready, pod.since) = (true, 20);
    }
    film.look();
    film.until(300);
    let (second, Remedy::Withhold(_, why)) = film.remedies[0] else {
        panic!("{:?}", film.remedies)
    };
    assert_eq!((second, why), (60, Withheld::ControllersBehind));
    assert_eq!(film.rolled_back_at(), None);
}

#[test]
fn pods_that_got_ready_a_moment_ago_may_still_be_counted() {
    let mut film = Film::begin();
    film.until(55);
    for pod in &mut film.pods {
        (pod.ready, pod.since) = (true, 55);
    }
    film.look();
    film.until(61);
    assert_eq!(film.rolled_back_at(), Some(60));
}

#[test]
fn pods_that_have_to_be_ready_for_a_while_are_no_sign_of_a_slow_controller() {
    let mut film = Film::begin();
    film.target.as_mut().expect("a target")["spec"]["minReadySeconds"] = json!(120);
    film.until(20);
    for pod in &mut film.pods {
        (pod.ready, pod.since) = (true, 20);
    }
    film.look();
    film.until(61);
    assert_eq!(film.rolled_back_at(), Some(60));
    assert_eq!(
        Workload::deployment(film.target.as_ref().expect("a target")).min_ready,
        120
    );
    assert_eq!(
        Stamp::recall(&Canary::from_json(film.canary.clone()), None, film.now).rollout,
        None
    );
}

#[test]
fn a_lever_that_a_killed_process_left_without_a_verdict_is_taken_back_or_taken_over() {
    let ours = || {
        json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "Curfew: 1 of 4 pods not ready"}])
    };
    let mut film = Film::begin();
    film.until(60);
    assert_eq!(film.rolled_back_at(), Some(60));
    // The condition was set; then the process ended, before it wrote anything down.
    film.target.as_mut().expect("a target")["status"]["conditions"] = ours();
    film.remedies.clear();
    let mut taken_over = film;
    taken_over.restart().look();
    assert!(matches!(taken_over.remedies[..], [(60, Remedy::RollBack(..))]));

    let mut film = taken_over;
    film.remedies.clear();
    film.push("v3").forget();
    film.flagger(&[("lastAppliedSpec", json!("v3"))]);
    assert_eq!(film.remedies.last(), Some(&(60, Remedy::Withdraw)));

    // Kubernetes' own condition of that name is none of ours.
    film.target.as_mut().expect("a target")["status"]["conditions"][0]["message"] = json!("has timed out");
    film.remedies.clear();
    film.look();
    assert_eq!(film.remedies, []);
}

#[test]
fn a_verdict_holds_over_a_restart_although_the_pods_are_ready_by_then() {
    let mut film = Film::begin();
    film.until(60);
    requested(&mut film);
    film.until(70).ready(4);
    film.remedies.clear();
    film.restart().look();
    assert!(
        matches!(film.remedies[..], [(70, Remedy::RollBack(..))]),
        "{:?}",
        film.remedies
    );

    // A longer deadline takes it back all the same.
    film.restart().spec("progressDeadlineSeconds", json!(300));
    assert_eq!(film.remedies.last(), Some(&(70, Remedy::Withdraw)));
}

#[test]
fn pods_that_are_ready_at_a_restart_are_not_counted_as_unready_until_the_next_look() {
    let mut film = Film::begin();
    film.until(20).ready(4).until(25);
    film.ready(3);
    // In the same second: Curfew ends, the pods get ready, and the next Curfew looks.
    film.restart().ready(4).until(50);
    let budget = film.stamp.rollout.as_ref().expect("a rollout").budget;
    assert_eq!(budget.course, Course::Ready);
    assert!(budget.since <= Film::at(25), "{budget:?}");
}
