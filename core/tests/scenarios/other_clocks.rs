//! The other clocks: when each runs, when its deadline is, and what is done then.

use std::time::Duration;

use curfew_core::{
    policy::action::Action,
    rollout::{
        Clock,
        levers::{Levers, TargetLever},
        pods::{ContainerSeen, Exit},
        remedy::Remedy,
    },
};
use serde_json::json;

use super::scenario::Scenario;

const HOUR: i64 = 3600;

fn ready(scenario: &mut Scenario) -> &mut Scenario {
    scenario.until(10).ready(4)
}

#[test]
fn three_failed_exits_of_a_container_that_was_ready_end_a_rollout() {
    let mut scenario = Scenario::begin();
    scenario.spec("progressDeadlineSeconds", json!(600));
    ready(&mut scenario);
    for (second, exit) in [(14, 14), (19, 19), (33, 33)] {
        scenario.until(second);
        scenario.containers = vec![ContainerSeen {
            name: "app".to_owned(),
            ready: false,
            exits: vec![Exit {
                at: Scenario::at(exit),
                failed: true,
            }],
        }];
        scenario.ready(3);
        scenario.until(second + 1);
        scenario.containers[0].ready = true;
        scenario.ready(4);
    }
    assert_eq!(scenario.rolled_back_at(), Some(33));
    let (_, Remedy::RollBack(breach, levers)) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!(breach.clock, Clock::CRASHES);
    assert_eq!(
        levers,
        Levers {
            fail_checks: true,
            target: TargetLever::ExceedDeadline
        }
    );
}

#[test]
fn pods_that_a_fix_replaces_do_not_fail_the_fix() {
    // The fix is taken up at 25 s; what has crashed twice is still there then, and crashes for the third time at 33 s.
    let crashed = |restarted: bool| {
        let mut scenario = Scenario::begin();
        scenario.spec("progressDeadlineSeconds", json!(600));
        ready(&mut scenario);
        for (second, exits) in [(14, vec![14]), (19, vec![14, 19]), (25, vec![]), (33, vec![19, 33])] {
            scenario.until(second);
            if second == 25 {
                scenario.push("v3").flagger(&[("lastAppliedSpec", json!("v3"))]);
                scenario.target.as_mut().expect("a target")["status"]["updatedReplicas"] = json!(1);
                if restarted {
                    scenario.restart().look();
                }
                continue;
            }
            let exit = |second: &i64| Exit {
                at: Scenario::at(*second),
                failed: true,
            };
            scenario.containers = vec![ContainerSeen {
                name: "app".to_owned(),
                ready: false,
                exits: exits.iter().map(exit).collect(),
            }];
            scenario.look();
            scenario.containers[0].ready = true;
            scenario.until(second + 1).look();
        }
        scenario.until(60).rolled_back_at()
    };
    assert_eq!(crashed(false), None);
    assert_eq!(crashed(true), None);
}

#[test]
fn a_gate_is_reported_when_the_policy_sets_a_limit() {
    let mut scenario = Scenario::begin();
    scenario.policy.clocks.entry(Clock::GATE).limit = Some(Duration::from_hours(1));
    ready(&mut scenario).until(20).phase("WaitingPromotion");
    scenario.until(20 + HOUR - 1);
    assert_eq!(scenario.reported(Clock::GATE), None);
    scenario.until(20 + HOUR);
    assert_eq!(scenario.reported(Clock::GATE), Some(20 + HOUR));
    assert_eq!(scenario.remedies, []);
}

#[test]
fn a_gate_that_may_roll_back_does_so_only_where_flagger_can() {
    for (phase, rolled_back) in [("WaitingPromotion", Some(20 + HOUR)), ("Waiting", None)] {
        let mut scenario = Scenario::begin();
        scenario.policy.clocks.entry(Clock::GATE).limit = Some(Duration::from_hours(1));
        scenario.policy.clocks.entry(Clock::GATE).action = Some(Action::RollBack);
        ready(&mut scenario).until(20).phase(phase).until(21 + HOUR);
        assert_eq!(scenario.rolled_back_at(), rolled_back, "{phase}");
        assert_eq!(
            scenario.reported(Clock::GATE).is_some(),
            rolled_back.is_none(),
            "{phase}"
        );
    }
    // Ready pods need no lever on the target.
    let mut scenario = Scenario::begin();
    scenario.policy.clocks.entry(Clock::GATE).limit = Some(Duration::from_hours(1));
    scenario.policy.clocks.entry(Clock::GATE).action = Some(Action::RollBack);
    ready(&mut scenario)
        .until(20)
        .phase("WaitingPromotion")
        .until(21 + HOUR);
    let (_, Remedy::RollBack(_, levers)) = scenario.remedies[0] else {
        panic!("{:?}", scenario.remedies)
    };
    assert_eq!(
        levers,
        Levers {
            fail_checks: true,
            target: TargetLever::None
        }
    );
}

#[test]
fn an_approval_is_not_waited_for_before_the_pods_are_ready() {
    let mut scenario = Scenario::begin();
    scenario.policy.clocks.entry(Clock::GATE).limit = Some(Duration::from_secs(40));
    scenario.policy.clocks.entry(Clock::GATE).action = Some(Action::RollBack);
    scenario.spec(
        "analysis",
        json!({"interval": "10s", "threshold": 5, "stepWeight": 10, "webhooks": [{"type": "confirm-traffic-increase"}]}),
    );
    scenario.until(50).ready(4).until(50 + 39);
    assert_eq!(scenario.remedies, []);
    scenario.until(50 + 40);
    assert_eq!(scenario.rolled_back_at(), Some(50 + 40));
    // Traffic that was approved starts it anew.
    let mut approved = Scenario::begin();
    approved.policy = scenario.policy.clone();
    approved.canary["spec"] = scenario.canary["spec"].clone();
    ready(&mut approved).until(30).flagger(&[("canaryWeight", json!(10))]);
    approved.until(30 + 41);
    assert_eq!(approved.rolled_back_at(), Some(30 + 40));
}

#[test]
fn ready_pods_that_do_not_advance_are_a_stall_unless_a_gate_may_hold_them() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    // Ten intervals of 10 s.
    scenario.until(129);
    assert_eq!(scenario.reported(Clock::STALL), None);
    scenario.until(131);
    assert_eq!(scenario.reported(Clock::STALL), Some(130));

    let mut gated = Scenario::begin();
    gated.spec(
        "analysis",
        json!({"interval": "10s", "threshold": 5, "stepWeight": 10, "webhooks": [{"type": "confirm-traffic-increase"}]}),
    );
    ready(&mut gated).until(1000);
    assert_eq!(gated.reports, []);
}

#[test]
fn a_hook_of_minutes_is_no_stall() {
    for policys in [None, Some(Duration::from_secs(100))] {
        let mut scenario = Scenario::begin();
        scenario.policy.clocks.entry(Clock::STALL).limit = policys;
        scenario.spec(
            "analysis",
            json!({"interval": "10s", "threshold": 5, "stepWeight": 10,
                "webhooks": [{"type": "pre-rollout", "timeout": "4m"}]}),
        );
        ready(&mut scenario).until(20);
        scenario.last_event = Some(20);
        // The hook passes, which Flagger tells before it moves any traffic.
        scenario.until(20 + 230);
        scenario.last_event = Some(20 + 230);
        scenario.look();
        assert_eq!(scenario.reports, []);
        scenario.flagger(&[("canaryWeight", json!(10))]);
        scenario.last_event = None;
        scenario.until(250 + 100 + 240 - 1);
        assert_eq!(scenario.reports, []);
        scenario.until(250 + 100 + 240);
        assert_eq!(scenario.reported(Clock::STALL), Some(250 + 100 + 240));
    }
}

#[test]
fn a_silent_flagger_is_no_stall() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    scenario.last_event = Some(30);
    scenario.until(1000);
    assert_eq!(scenario.reported(Clock::STALL), None);
    assert_eq!(scenario.reported(Clock::SILENCE), Some(90));
}

#[test]
fn a_promotion_that_moves_traffic_has_its_time_for_every_step() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(50).phase("Promoting");
    scenario.until(100).flagger(&[("canaryWeight", json!(40))]).until(219);
    assert_eq!(scenario.reports, []);
    scenario.until(221);
    assert_eq!(scenario.reported(Clock::PROMOTION), Some(220));
}

#[test]
fn silence_is_told_after_three_looks_and_what_hooks_may_take() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    scenario.last_event = Some(30);
    scenario.until(91);
    assert_eq!(scenario.reported(Clock::SILENCE), Some(90));

    let mut hooked = Scenario::begin();
    hooked.spec(
        "analysis",
        json!({"interval": "10s", "threshold": 5, "stepWeight": 10,
            "webhooks": [{"type": "pre-rollout", "timeout": "2m", "retries": 1}, {"type": "rollout"}]}),
    );
    ready(&mut hooked).until(30).flagger(&[("canaryWeight", json!(10))]);
    hooked.last_event = Some(30);
    hooked.until(30 + 60 + 2 * 120 + 10);
    assert_eq!(hooked.reported(Clock::SILENCE), Some(30 + 60 + 2 * 120 + 10));
}

#[test]
fn flagger_is_not_called_silent_while_its_events_are_throttled() {
    // docs/flagger.md#signs-of-life
    let mut scenario = Scenario::begin();
    scenario.spec("progressDeadlineSeconds", json!(HOUR));
    scenario.until(30);
    scenario.last_event = Some(30);
    scenario.ready(3).until(30 + 300);
    assert_eq!(scenario.reported(Clock::SILENCE), None);
    scenario.until(30 + 311);
    assert_eq!(scenario.reported(Clock::SILENCE), Some(30 + 310));
}

#[test]
fn a_promotion_that_takes_twice_the_deadline_is_told_and_left_alone() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(50).phase("Promoting").until(169);
    assert_eq!(scenario.reports, []);
    scenario.until(171);
    assert_eq!(scenario.reported(Clock::PROMOTION), Some(170));
    assert_eq!(scenario.remedies, []);
}

#[test]
fn the_annotation_sets_a_deadline_for_the_whole_rollout_within_the_policys_maximum() {
    let mut scenario = Scenario::begin();
    scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut scenario);
    for second in (50..700).step_by(50) {
        scenario.until(second).flagger(&[("iterations", json!(second))]);
    }
    assert_eq!(scenario.rolled_back_at(), Some(600));

    let mut capped = Scenario::begin();
    capped.policy.clocks.entry(Clock::ROLLOUT).max_limit = Some(Duration::from_mins(5));
    capped.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut capped).until(301);
    assert_eq!(capped.rolled_back_at(), Some(300));
}

#[test]
fn a_service_has_no_template_to_be_sure_of_and_is_rolled_back_by_failed_checks() {
    let mut scenario = Scenario::begin();
    scenario.canary["spec"]["targetRef"] = json!({"apiVersion": "v1", "kind": "Service", "name": "web"});
    scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    (scenario.target, scenario.primary, scenario.pods) = (None, None, Vec::new());
    scenario.forget().look();
    for second in (50..700).step_by(50) {
        scenario.until(second).flagger(&[("iterations", json!(second))]);
    }
    assert_eq!(scenario.rolled_back_at(), Some(600));
    let levers = Levers {
        fail_checks: true,
        target: TargetLever::None,
    };
    assert!(
        matches!(scenario.remedies.as_slice(), [(600, Remedy::RollBack(breach, with))]
            if breach.clock == Clock::ROLLOUT && *with == levers),
        "{:?}",
        scenario.remedies
    );
}

#[test]
fn approvals_and_holds_are_no_part_of_the_rollouts_time() {
    let mut scenario = Scenario::begin();
    scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut scenario)
        .until(100)
        .phase("WaitingPromotion")
        .until(HOUR)
        .phase("Progressing");
    scenario
        .until(HOUR + 100)
        .spec("suspend", json!(true))
        .until(2 * HOUR)
        .spec("suspend", json!(false));
    scenario.until(2 * HOUR + 399);
    assert_eq!(scenario.rolled_back_at(), None);
    scenario.until(2 * HOUR + 401);
    assert_eq!(scenario.rolled_back_at(), Some(2 * HOUR + 400));
}

#[test]
fn once_promotion_began_the_rollouts_deadline_is_only_told() {
    let mut scenario = Scenario::begin();
    scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut scenario).until(500).phase("Promoting").until(601);
    assert_eq!(
        (scenario.reported(Clock::ROLLOUT), scenario.rolled_back_at()),
        (Some(600), None)
    );
}

#[test]
fn a_rollout_suspended_for_a_day_is_told() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(100).spec("suspend", json!(true));
    scenario.until(100 + 24 * HOUR - 1);
    assert_eq!(scenario.reports, []);
    scenario.until(100 + 24 * HOUR);
    assert_eq!(scenario.reported(Clock::SUSPENDED), Some(100 + 24 * HOUR));
}

/// An initialization whose primary is not ready since the scenario began, with a deadline of 60 s and Kubernetes' own of 600 s.
#[test]
fn a_sign_of_life_from_the_future_is_none() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    scenario.last_event = Some(100_000);
    scenario.until(91);
    assert_eq!(scenario.reported(Clock::SILENCE), Some(90));
}

#[test]
fn a_lever_that_sets_the_status_back_hides_no_sign_of_life() {
    // docs/flagger.md#l6
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    scenario.last_event = Some(20);
    scenario.until(35);
    scenario.canary["status"]["lastTransitionTime"] = json!(Scenario::at(-60).to_string());
    scenario.look();
    scenario.until(89);
    assert_eq!(scenario.reports, []);
}

#[test]
fn a_target_of_a_kind_that_nobody_here_can_see_is_told_when_it_does_not_advance() {
    let mut scenario = Scenario::begin();
    scenario.spec(
        "targetRef",
        json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}),
    );
    (scenario.target, scenario.primary) = (None, None);
    scenario.look();
    scenario.until(99);
    assert_eq!(scenario.reports, []);
    scenario.until(101);
    assert_eq!(scenario.reported(Clock::STALL), Some(100));
    scenario.until(1000);
    assert_eq!(scenario.remedies, []);
}

#[test]
fn silence_is_the_next_deadline_only_once_a_look_is_missing() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    scenario.last_event = Some(30);
    let pending = |scenario: &Scenario| {
        scenario
            .evaluation()
            .pending
            .map(|pending| (pending.clock, pending.deadline))
    };
    scenario.until(44);
    assert_eq!(pending(&scenario), Some((Clock::STALL, Scenario::at(130))));
    scenario.until(46);
    assert_eq!(pending(&scenario), Some((Clock::SILENCE, Scenario::at(90))));
    scenario.last_event = Some(47);
    scenario.until(48);
    assert_eq!(pending(&scenario), Some((Clock::STALL, Scenario::at(130))));
}
