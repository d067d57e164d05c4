//! What lies right beside the other scenarios: a step further, and something would be told, counted or done that must not be.

use std::time::Duration;

use curfew_core::{
    deadline::{evaluate::RolloutState, limits::Limits, messages::announcement},
    flagger::canary::Canary,
    policy::{action::Action, canary_policy::Enforcement},
    rollout::{Clock, observation::TargetState, stamp::Stamp},
};
use jiff::Timestamp;
use serde_json::json;

use super::scenario::{Pod, Scenario, deployment};

const HOUR: i64 = 3600;

fn started_at(scenario: &Scenario) -> Timestamp {
    scenario.stamp.rollout.as_ref().expect("a rollout").started_at
}

fn ready(scenario: &mut Scenario) -> &mut Scenario {
    scenario.until(10).ready(4)
}

#[test]
fn a_deadline_is_announced_for_each_progress_and_the_rollouts_once() {
    let announced = |scenario: &Scenario| announcement(scenario.evaluation(), &scenario.stamp);
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(30).flagger(&[("canaryWeight", json!(10))]);
    scenario.until(35).ready(3).until(35 + 47);
    assert_eq!(announced(&scenario), None);
    scenario.until(35 + 48);
    assert_eq!(announced(&scenario), Some((Clock::READINESS, Scenario::at(30))));

    let mut whole = Scenario::begin();
    whole.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut whole).until(510).flagger(&[("canaryWeight", json!(10))]);
    assert_eq!(announced(&whole), Some((Clock::ROLLOUT, Scenario::at(0))));
}

#[test]
fn a_rollout_starts_with_its_approval_and_with_no_later_one() {
    let mut scenario = Scenario::begin();
    scenario.canary["status"]["phase"] = json!("Waiting");
    // Flagger wrote its condition once more while it waited.
    scenario.canary["status"]["conditions"][0]["lastUpdateTime"] = json!(Scenario::at(10));
    scenario.stamp = Stamp::default();
    scenario.now = Scenario::at(20);
    scenario.look();
    assert_eq!(started_at(&scenario), Scenario::at(0));
    scenario.until(HOUR).phase("Progressing");
    assert_eq!(started_at(&scenario), Scenario::at(HOUR));
    scenario
        .until(2 * HOUR)
        .phase("WaitingPromotion")
        .until(3 * HOUR)
        .phase("Progressing");
    assert_eq!(started_at(&scenario), Scenario::at(HOUR));
}

#[test]
fn the_first_readiness_of_each_revision_is_remembered() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(20).ready(3).until(25).ready(4);
    assert_eq!(scenario.stamp.ready_after, [10]);
    scenario.until(30).push("v3").ready(0);
    scenario.flagger(&[("lastAppliedSpec", json!("v3"))]).until(50).ready(4);
    assert_eq!(scenario.stamp.ready_after, [20, 10]);
    scenario.restart().look();
    assert_eq!(scenario.stamp.ready_after, [20, 10]);
    scenario.canary["metadata"]["annotations"]["curfew.dev/ready-after"] = json!("7s 5m -3s soon 8s");
    scenario.forget().look();
    assert_eq!(scenario.stamp.ready_after, [7, 8]);
}

#[test]
fn when_a_rollout_that_was_found_running_got_ready_nobody_knows() {
    let mut scenario = Scenario::begin();
    scenario.stamp = Stamp::default();
    scenario.now = Scenario::at(2000);
    scenario.ready(4).until(2100).ready(3).until(2110).ready(4);
    assert_eq!(scenario.stamp.ready_after, Vec::<i64>::new());
}

#[test]
fn the_readiness_of_a_rollout_whose_beginning_was_seen_late_is_remembered() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(100).phase("Succeeded").until(150);
    scenario.canary["status"]["phase"] = json!("Progressing");
    let condition = &mut scenario.canary["status"]["conditions"][0];
    condition["status"] = json!("Unknown");
    condition["lastTransitionTime"] = json!(Scenario::at(200));
    condition["lastUpdateTime"] = json!(Scenario::at(200));
    scenario.now = Scenario::at(220);
    scenario.ready(0).until(230).ready(4);
    assert_eq!(scenario.stamp.ready_after, [30, 10]);
}

#[test]
fn suspended_between_rollouts_is_nothing_to_tell_and_with_traffic_on_a_service_it_is() {
    let mut between = Scenario::begin();
    ready(&mut between).until(20).phase("Succeeded");
    between.spec("suspend", json!(true)).until(25 * HOUR);
    assert_eq!(between.reports, []);

    // Nor is it before a rollout that waits for its approval has made any pod.
    let mut waits = Scenario::begin();
    waits.target = Some(deployment("v2", 0, 0));
    waits.phase("Waiting").spec("suspend", json!(true)).until(25 * HOUR);
    assert_eq!(waits.reports, []);

    let mut service = Scenario::begin();
    service.canary["spec"]["targetRef"] = json!({"apiVersion": "v1", "kind": "Service", "name": "web"});
    (service.target, service.primary, service.pods) = (None, None, Vec::new());
    service
        .forget()
        .flagger(&[("canaryWeight", json!(10))])
        .spec("suspend", json!(true))
        .until(25 * HOUR);
    assert_eq!(service.reports, [(24 * HOUR, Clock::SUSPENDED)]);
}

#[test]
fn a_rollout_that_is_over_has_no_deadline() {
    let mut scenario = Scenario::begin();
    scenario.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ready(&mut scenario).until(50).phase("Succeeded").until(HOUR);
    assert_eq!((&scenario.reports, &scenario.remedies), (&vec![], &vec![]));
    assert_eq!(scenario.evaluation().pending, None);
}

#[test]
fn without_a_hook_that_asks_no_approval_is_waited_for() {
    let mut scenario = Scenario::begin();
    scenario.policy.clocks.entry(Clock::GATE).limit = Some(Duration::from_secs(40));
    ready(&mut scenario).until(300);
    assert!(!scenario.reports.iter().any(|(_, clock)| *clock == Clock::GATE));
}

#[test]
fn who_waits_for_approval_or_is_suspended_neither_stalls_nor_misses_flagger() {
    for last_event in [Some(20), None] {
        let mut waits = Scenario::begin();
        ready(&mut waits).until(20).phase("WaitingPromotion");
        waits.last_event = last_event;
        assert_eq!(waits.until(HOUR).reports, []);

        let mut suspended = Scenario::begin();
        ready(&mut suspended).until(20).spec("suspend", json!(true));
        suspended.last_event = last_event;
        assert_eq!(suspended.until(HOUR).reports, []);

        let mut done = Scenario::begin();
        ready(&mut done).until(20).phase("Succeeded");
        done.last_event = last_event;
        assert_eq!(done.until(HOUR).reports, []);
    }
}

#[test]
fn whoever_is_told_to_look_again_is_told_the_next_moment_that_matters() {
    let mut scenario = Scenario::begin();
    scenario.until(47);
    assert_eq!(scenario.evaluation().changes_at, Some(Scenario::at(48)));
    scenario.until(48);
    assert_eq!(scenario.evaluation().changes_at, Some(Scenario::at(60)));
    assert_eq!(scenario.evaluation().rolls_back_at, Some(Scenario::at(60)));
    scenario.until(60);
    assert_eq!(scenario.evaluation().rolls_back_at, Some(Scenario::at(60)));
    assert_eq!(scenario.evaluation().changes_at, None);

    // Nothing else is pending once a rollout is to end.
    let mut ends = Scenario::begin();
    ends.canary["metadata"]["annotations"]["curfew.dev/rollout-deadline"] = json!("10m");
    ends.until(60);
    assert_eq!((ends.evaluation().pending, ends.evaluation().changes_at), (None, None));

    let mut told = Scenario::begin();
    told.policy.clocks.entry(Clock::READINESS).action = Some(Action::Report);
    told.look();
    assert_eq!(told.evaluation().rolls_back_at, None);
}

#[test]
fn a_canary_that_nobody_watches_is_idle() {
    let mut scenario = Scenario::begin();
    scenario.policy.mode = Enforcement::Disabled;
    scenario.look();
    assert_eq!(scenario.evaluation().state, RolloutState::Idle);

    let watched = Limits::of(&Canary::from_json(scenario.canary.clone()), &Scenario::begin().policy);
    assert_ne!(watched.mode, Enforcement::Disabled);
    assert_eq!(
        watched.clone().off(),
        Limits {
            mode: Enforcement::Disabled,
            ..watched
        }
    );
}

#[test]
fn after_a_restart_an_autoscaler_explains_young_pods_beside_ready_ones_only() {
    let autoscaled = || {
        let mut scenario = Scenario::begin();
        scenario.spec(
            "autoscalerRef",
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}),
        );
        scenario
    };
    let mut grows = autoscaled();
    ready(&mut grows).until(20).flagger(&[("canaryWeight", json!(10))]);
    grows.until(30);
    let young = Pod {
        created: 30,
        ready: false,
        since: 30,
    };
    grows.pods.extend(vec![young; 2]);
    grows.ready(4).restart().look();
    assert_eq!(grows.seen().target, TargetState::Growing(Scenario::at(90)));

    let mut never = autoscaled();
    never.until(30).restart().look();
    assert_eq!(never.seen().target, TargetState::Unready);
}

#[test]
fn a_look_that_is_missing_is_noticed_when_it_is_only_where_silence_is_watched() {
    for (silence, changes_at) in [(Action::Report, Some(Scenario::at(30 + 15))), (Action::Disabled, None)] {
        let mut scenario = Scenario::begin();
        scenario.policy.clocks.entry(Clock::STALL).action = Some(Action::Disabled);
        scenario.policy.clocks.entry(Clock::SILENCE).action = Some(silence);
        scenario.last_event = Some(30);
        scenario.until(30).ready(4).until(31);
        assert_eq!(scenario.evaluation().changes_at, changes_at);
    }
}

#[test]
fn a_look_that_may_have_begun_before_a_push_did_not_see_it() {
    let hooks = json!([{"type": "pre-rollout", "timeout": "2m", "retries": 1}]);
    // A check lasts five seconds, and what hooks hold it for; with 75 Canaries eight seconds.
    for (webhooks, canaries, lasts) in [(json!([]), 1, 5), (json!([]), 75, 8), (hooks, 1, 5 + 2 * 120)] {
        for (sign, believed) in [(58 + 3, false), (58 + lasts, false), (58 + lasts + 1, true)] {
            let mut scenario = Scenario::begin();
            scenario.canaries = canaries;
            scenario.spec(
                "analysis",
                json!({"interval": "10s", "threshold": 5, "stepWeight": 10, "webhooks": webhooks}),
            );
            scenario.until(58);
            scenario.last_event = Some(58);
            scenario.push("v1").until(sign);
            scenario.last_event = Some(sign);
            scenario.until(600);
            assert_eq!(
                scenario.rolled_back_at().is_some(),
                believed,
                "{webhooks}, {canaries} Canaries, {sign}"
            );
        }
    }
}

#[test]
fn a_flagger_that_has_not_looked_since_a_push_took_up_nothing() {
    let mut scenario = Scenario::begin();
    scenario.until(40).flagger(&[("failedChecks", json!(1))]);
    scenario.until(58);
    scenario.last_event = Some(58);
    scenario.push("v1").until(HOUR);
    assert_eq!(scenario.rolled_back_at(), None, "{:?}", scenario.remedies);
    scenario.last_event = Some(HOUR);
    scenario.until(HOUR + 20);
    assert!(scenario.rolled_back_at().is_some(), "{:?}", scenario.remedies);
}

#[test]
fn a_target_that_a_user_points_elsewhere_has_its_time_from_then() {
    let mut scenario = Scenario::begin();
    ready(&mut scenario).until(20).ready(3).until(50);
    scenario.target = Some(deployment("v7", 4, 3));
    scenario.spec(
        "targetRef",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}),
    );
    assert_eq!(scenario.deadline(), Some(110));
    assert!(scenario.seen().synced);
    let rollout = scenario.stamp.rollout.as_ref().expect("a rollout");
    assert_eq!(
        (rollout.wanted, rollout.was_ready, rollout.revision_since),
        (None, false, Scenario::at(50))
    );
    assert_eq!(rollout.unproven_until, Some(Scenario::at(65)));
    scenario.until(111);
    assert_eq!(scenario.rolled_back_at(), Some(110));
}
