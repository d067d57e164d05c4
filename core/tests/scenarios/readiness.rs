//! The readiness clock: what counts, what does not, and at which second a rollout is failed.

use curfew_core::{
    deadline::evaluate::RolloutState,
    policy::{action::Action, canary_policy::Enforcement},
    rollout::{
        Clock,
        guard::Guard,
        levers::{Levers, TargetLever},
        observation::TargetState,
        remedy::Remedy,
        stamp::Stamp,
    },
};
use serde_json::json;

use super::{
    requested,
    scenario::{Pod, Scenario, deployment},
};

#[test]
fn a_target_that_is_never_ready_fails_at_its_deadline() {
    let mut scenario = Scenario::begin();
    assert_eq!(scenario.deadline(), Some(60));
    scenario.ready(3).until(59);
    assert_eq!(scenario.rolled_back_at(), None);
    scenario.until(300);
    assert_eq!(scenario.rolled_back_at(), Some(60));
    let (_, Remedy::RollBack(_, levers)) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!(
        levers,
        Levers {
            fail_checks: true,
            target: TargetLever::ExceedDeadline
        }
    );
}

#[test]
fn failed_checks_do_nothing_where_the_analysis_is_skipped() {
    let mut scenario = Scenario::begin();
    scenario.spec("skipAnalysis", json!(true)).until(61);
    let (60, Remedy::RollBack(_, levers)) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!(
        levers,
        Levers {
            fail_checks: false,
            target: TargetLever::ExceedDeadline
        }
    );
}

#[test]
fn the_deadline_is_announced_at_four_fifths_of_it() {
    let mut scenario = Scenario::begin();
    scenario.until(47);
    assert!(!scenario.evaluation().pending.expect("pending").approaching);
    scenario.until(48);
    assert!(scenario.evaluation().pending.expect("pending").approaching);
}

#[test]
fn progress_empties_the_budget() {
    let mut scenario = Scenario::begin();
    scenario
        .until(30)
        .ready(4)
        .until(40)
        .flagger(&[("canaryWeight", json!(10))])
        .until(45)
        .ready(3);
    assert_eq!(scenario.deadline(), Some(105));
    scenario.until(104);
    assert_eq!(scenario.rolled_back_at(), None);
    scenario.until(106);
    assert_eq!(scenario.rolled_back_at(), Some(105));
}

#[test]
fn ready_time_pays_back_a_quarter() {
    let mut scenario = Scenario::begin();
    scenario.until(40).ready(4).until(80).ready(3);
    // 40 s spent, 10 s of them paid back.
    assert_eq!(scenario.deadline(), Some(80 + 30));
}

#[test]
fn what_is_no_progress_does_not_count_as_progress() {
    let mut scenario = Scenario::begin();
    scenario.until(10).flagger(&[("failedChecks", json!(3))]);
    scenario
        .until(20)
        .flagger(&[("failedChecks", json!(0)), ("iterations", json!(-1))]);
    scenario.until(25).ready(1).until(26).ready(0);
    // Only the second in which nothing changed for the better: one pod of four is not ready enough.
    assert_eq!(scenario.deadline(), Some(60));
}

#[test]
fn a_blip_after_the_deadline_of_a_long_analysis_harms_nobody() {
    let mut scenario = Scenario::begin();
    scenario.until(20).ready(4);
    for (index, weight) in (1..=5).enumerate() {
        let second = 60 + 60 * i64::try_from(index).expect("small");
        scenario.until(second).flagger(&[("canaryWeight", json!(weight * 10))]);
        scenario.until(second + 10).ready(3).until(second + 15).ready(4);
    }
    scenario.until(400).phase("Promoting").until(2000);
    assert_eq!(scenario.remedies, []);
}

#[test]
fn flapping_cannot_buy_time() {
    // docs/flagger.md#f5, with a deadline of 25 s.
    let mut scenario = Scenario::begin();
    scenario.spec("progressDeadlineSeconds", json!(25));
    let mut second = 0;
    while scenario.rolled_back_at().is_none() && second < 200 {
        scenario.until(second + 6).ready(4).until(second + 9).ready(3);
        second += 9;
    }
    assert_eq!(scenario.rolled_back_at(), Some(40));
}

#[test]
fn an_autoscaler_that_grows_the_target_is_no_failure() {
    let mut scenario = Scenario::begin();
    scenario.until(20).ready(4).flagger(&[("canaryWeight", json!(10))]);
    // Two more are wanted; the four are there.
    scenario.until(30);
    scenario.pods.extend(vec![
        Pod {
            created: 30,
            ready: false,
            since: 30
        };
        2
    ]);
    scenario.ready(4);
    assert_eq!(scenario.seen().target, TargetState::Growing(Scenario::at(90)));
    scenario.until(89);
    assert_eq!((scenario.rolled_back_at(), scenario.deadline()), (None, None));
    // They had as long as anybody; from now on it counts.
    scenario.until(91);
    assert_eq!(scenario.deadline(), Some(150));
    scenario.until(151);
    assert_eq!(scenario.rolled_back_at(), Some(150));
}

#[test]
fn a_pod_less_than_there_were_is_a_failure_however_young() {
    let mut scenario = Scenario::begin();
    scenario
        .until(20)
        .ready(4)
        .flagger(&[("canaryWeight", json!(10))])
        .until(30);
    scenario.pods[3] = Pod {
        created: 30,
        ready: false,
        since: 30,
    };
    scenario.ready(3);
    assert_eq!(scenario.deadline(), Some(90));
}

#[test]
fn time_that_nobody_judges_does_not_count() {
    let mut scenario = Scenario::begin();
    scenario.until(10);
    scenario.target.as_mut().expect("a target")["metadata"]["generation"] = json!(4);
    scenario.look();
    assert_eq!(
        (scenario.evaluation().state, scenario.deadline()),
        (RolloutState::Paused, None)
    );
    scenario.until(500);
    scenario.target.as_mut().expect("a target")["status"]["observedGeneration"] = json!(4);
    scenario.look();
    assert_eq!(scenario.deadline(), Some(550));
}

#[test]
fn none_wanted_is_never_ready() {
    // docs/flagger.md#f9
    let mut scenario = Scenario::begin();
    scenario.pods.clear();
    scenario.target = Some(deployment("v2", 0, 0));
    scenario.look();
    scenario.until(61);
    assert_eq!(scenario.rolled_back_at(), Some(60));
}

#[test]
fn none_wanted_makes_no_progress_either() {
    let mut scenario = Scenario::begin();
    scenario.until(10).ready(4).until(20);
    scenario.pods.clear();
    scenario.target = Some(deployment("v2", 0, 0));
    scenario.look();
    for second in [30, 50, 70] {
        scenario.until(second).flagger(&[("iterations", json!(second))]);
    }
    // 10 s from the beginning, of which 10 s of readiness paid back 2.5: at 72.5 s.
    scenario.until(80);
    assert_eq!(scenario.rolled_back_at(), Some(72));
}

#[test]
fn a_verdict_that_was_handed_over_stays_while_the_primary_is_not_ready() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.until(62);
    scenario.primary = Some(deployment("v1", 4, 3));
    scenario.look();
    assert!(
        scenario
            .remedies
            .iter()
            .all(|(_, remedy)| matches!(remedy, Remedy::RollBack(..))),
        "{:?}",
        scenario.remedies
    );
}

#[test]
fn a_primary_that_is_not_ready_stops_the_clock() {
    // docs/flagger.md#f13
    let mut scenario = Scenario::begin();
    scenario.until(10);
    scenario.primary = Some(deployment("v1", 4, 3));
    scenario.look();
    assert_eq!(scenario.seen().target, TargetState::PrimaryNotReady);
    scenario.until(500);
    assert_eq!(scenario.remedies, []);
    scenario.primary = Some(deployment("v1", 4, 4));
    scenario.look();
    assert_eq!(scenario.deadline(), Some(550));
}

#[test]
fn a_users_hold_stops_the_clock() {
    let mut scenario = Scenario::begin();
    scenario.until(10).spec("suspend", json!(true)).until(500);
    assert_eq!(
        (scenario.evaluation().state, scenario.remedies.len()),
        (RolloutState::Paused, 0)
    );
    scenario.spec("suspend", json!(false));
    assert_eq!(scenario.deadline(), Some(550));
    scenario.target.as_mut().expect("a target")["spec"]["paused"] = json!(true);
    scenario.look();
    scenario.until(1000);
    assert_eq!(
        (scenario.evaluation().state, scenario.remedies.len()),
        (RolloutState::Paused, 0)
    );
}

#[test]
fn nothing_is_done_outside_the_phases_that_can_be_rolled_back() {
    for phase in [
        "Waiting",
        "Promoting",
        "Finalising",
        "Succeeded",
        "Failed",
        "Terminating",
        "Meditating",
    ] {
        let mut scenario = Scenario::begin();
        scenario.phase(phase).until(1000);
        assert_eq!(scenario.remedies, [], "{phase}");
    }
}

#[test]
fn waiting_for_promotion_is_not_safe_from_the_clock() {
    // docs/flagger.md#f12
    let mut scenario = Scenario::begin();
    scenario
        .until(20)
        .ready(4)
        .until(50)
        .phase("WaitingPromotion")
        .until(100)
        .ready(3)
        .until(161);
    assert_eq!(scenario.rolled_back_at(), Some(160));
}

#[test]
fn a_longer_deadline_holds_from_the_stored_start() {
    let mut scenario = Scenario::begin();
    scenario.until(30).spec("progressDeadlineSeconds", json!(90));
    assert_eq!(scenario.deadline(), Some(90));
    scenario.until(91);
    assert_eq!(scenario.rolled_back_at(), Some(90));
}

#[test]
fn a_shorter_deadline_does_too() {
    let mut scenario = Scenario::begin();
    scenario.until(30).spec("progressDeadlineSeconds", json!(20));
    assert_eq!(scenario.rolled_back_at(), Some(30));
}

#[test]
fn a_new_revision_starts_anew() {
    let mut scenario = Scenario::begin();
    scenario
        .until(50)
        .push("v3")
        .flagger(&[("lastAppliedSpec", json!("v3"))]);
    assert_eq!(scenario.deadline(), Some(110));
    let rollout = scenario.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!(
        (rollout.started_at, rollout.progressed_at),
        (Scenario::at(0), Scenario::at(50))
    );
}

#[test]
fn a_fix_of_a_config_map_only_starts_anew() {
    let mut scenario = Scenario::begin();
    scenario
        .until(50)
        .flagger(&[("trackedConfigs", json!({"configmap/web": "2"}))]);
    assert_eq!(scenario.deadline(), Some(110));
}

#[test]
fn a_fix_that_flagger_has_not_seen_is_waited_for() {
    // docs/flagger.md#l9
    let mut scenario = Scenario::begin();
    scenario.until(58).push("v3").until(62);
    let (60, Remedy::Withhold(_, Guard::FixPushed(_))) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    scenario.flagger(&[("lastAppliedSpec", json!("v3"))]).until(121);
    assert_eq!(scenario.rolled_back_at(), None);
    assert_eq!(scenario.deadline(), Some(122));
}

#[test]
fn a_breach_holds_whatever_the_pods_do() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.until(65).ready(4).until(70).ready(3).until(80);
    assert_eq!(scenario.remedies.len(), 1, "{:?}", scenario.remedies);
    assert!(matches!(scenario.evaluation().state, RolloutState::Breached(_)));
}

#[test]
fn a_rollback_is_confirmed_once() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    scenario.until(70).phase("Failed");
    assert_eq!(scenario.remedies.last(), Some(&(70, Remedy::Confirm)));
}

#[test]
fn a_verdict_is_withdrawn_when_its_reason_goes_away() {
    type Change = fn(&mut Scenario) -> &mut Scenario;
    let changes: [(&str, Change); 6] = [
        ("a longer deadline", |scenario| {
            scenario.spec("progressDeadlineSeconds", json!(300))
        }),
        ("suspended", |scenario| scenario.spec("suspend", json!(true))),
        ("a fix pushed", |scenario| scenario.push("v3")),
        ("a new revision", |scenario| {
            scenario.push("v3").flagger(&[("lastAppliedSpec", json!("v3"))])
        }),
        ("promotion began", |scenario| scenario.phase("Promoting")),
        ("being deleted", |scenario| scenario.delete()),
    ];
    for (name, change) in changes {
        let mut scenario = Scenario::begin();
        scenario.until(60);
        requested(&mut scenario);
        scenario.until(62);
        change(&mut scenario);
        assert_eq!(scenario.remedies.last(), Some(&(62, Remedy::Withdraw)), "{name}");
    }
}

#[test]
fn policies_may_only_report_or_not_look_at_all() {
    type Change = fn(&mut Scenario);
    let reports: [Change; 2] = [
        |scenario| scenario.policy.mode = Enforcement::Report,
        |scenario| scenario.policy.clocks.entry(Clock::READINESS).action = Some(Action::Report),
    ];
    for change in reports {
        let mut scenario = Scenario::begin();
        change(&mut scenario);
        scenario.look();
        scenario.until(61);
        assert_eq!(
            (&scenario.reports[..], scenario.remedies.len()),
            (&[(60, Clock::READINESS)][..], 0)
        );
    }
    let offs: [Change; 2] = [
        |scenario| scenario.policy.mode = Enforcement::Disabled,
        |scenario| scenario.policy.clocks.entry(Clock::READINESS).action = Some(Action::Disabled),
    ];
    for change in offs {
        let mut scenario = Scenario::begin();
        change(&mut scenario);
        scenario.look();
        scenario.until(1000);
        assert_eq!((scenario.remedies.len(), scenario.deadline()), (0, None));
        assert!(!scenario.reports.iter().any(|(_, clock)| *clock == Clock::READINESS));
    }
}

#[test]
fn a_target_that_is_gone_for_a_moment_loses_no_verdict() {
    let mut scenario = Scenario::begin();
    scenario.until(60);
    requested(&mut scenario);
    let target = scenario.target.take();
    scenario.until(62);
    scenario.target = target;
    scenario.until(64);
    assert!(
        scenario
            .remedies
            .iter()
            .all(|(_, remedy)| matches!(remedy, Remedy::RollBack(..))),
        "{:?}",
        scenario.remedies
    );
    assert!(matches!(scenario.evaluation().state, RolloutState::Breached(_)));
}

#[test]
fn a_template_that_flagger_does_not_take_up_is_what_the_rollout_goes_on_with() {
    // Going back to the promoted template in mid-rollout is no new revision to Flagger.
    let mut scenario = Scenario::begin();
    scenario.until(58).push("v1").until(62);
    assert!(
        matches!(scenario.remedies[0], (60, Remedy::Withhold(_, Guard::FixPushed(_)))),
        "{:?}",
        scenario.remedies
    );
    scenario.until(80);
    assert_eq!(scenario.rolled_back_at(), Some(80));
}

#[test]
fn an_autoscaled_target_has_its_deadline_from_the_beginning() {
    let mut scenario = Scenario::begin();
    scenario.spec(
        "autoscalerRef",
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}),
    );
    scenario.ready(3).until(61);
    assert_eq!(scenario.rolled_back_at(), Some(60));
}

#[test]
fn a_status_of_nonsense_is_survived() {
    let mut scenario = Scenario::begin();
    scenario.until(30);
    scenario.restart();
    scenario.canary["status"]["lastTransitionTime"] = json!("9999-12-30T22:00:00Z");
    scenario.canary["status"]["conditions"][0]["lastUpdateTime"] = json!("9999-12-30T22:00:00Z");
    scenario.canary["status"]["canaryWeight"] = json!(i64::MAX);
    scenario.spec("progressDeadlineSeconds", json!(i64::MAX));
    scenario.until(100);
    assert_eq!(scenario.rolled_back_at(), None);
}

#[test]
fn an_approval_starts_the_rollout() {
    let mut scenario = Scenario::begin();
    scenario.canary["status"]["phase"] = json!("Waiting");
    scenario.stamp = Stamp::default();
    scenario.look();
    scenario.until(3600).phase("Progressing");
    let rollout = scenario.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!(rollout.started_at, Scenario::at(3600));
    assert_eq!(scenario.deadline(), Some(3660));
}

#[test]
fn a_target_that_began_to_grow_before_its_pods_were_listed_again_does_not_count_from_then() {
    let mut scenario = Scenario::begin();
    scenario.ready(4).until(20).flagger(&[("canaryWeight", json!(10))]);
    scenario.until(70).ready(3).until(80);
    // The fourth pod is ready again and a fifth is wanted, but what is known of the pods is from before.
    let before = scenario.pods.clone();
    let young = Pod {
        created: 80,
        ready: false,
        since: 80,
    };
    scenario.pods[3] = Pod {
        ready: true,
        since: 80,
        ..scenario.pods[3].clone()
    };
    scenario.pods.push(young);
    let listed = std::mem::replace(&mut scenario.pods, before);
    let status = &mut scenario.target.as_mut().expect("a target")["status"];
    status["availableReplicas"] = json!(4);
    scenario.target.as_mut().expect("a target")["spec"]["replicas"] = json!(5);
    scenario.until(82);
    assert_eq!(scenario.seen().target, TargetState::Unready);
    scenario.pods = listed;
    scenario.look();
    assert_eq!(scenario.seen().target, TargetState::Growing(Scenario::at(140)));
    // Ten seconds are spent, and no more until the young pod is too old to be one.
    scenario.until(300);
    assert_eq!(scenario.rolled_back_at(), Some(140 + 50));
}
