//! The clock of a rollout that nothing moves: it only reports, at the deadline.

use curfew_core::rollout::{Clock, observation::TargetState, remedy::Remedy};
use serde_json::{Value, json};

use super::scenario::{Scenario, deployment};

const HOUR: i64 = 3600;

/// A rollout whose pods got ready after 10 s and took a fifth of the traffic.
fn with_traffic() -> Scenario {
    let mut scenario = Scenario::begin();
    scenario.until(10).ready(4).until(30);
    scenario.flagger(&[("canaryWeight", json!(20))]);
    scenario
}

fn change_target(scenario: &mut Scenario, field: &str, value: Value) {
    scenario.target.as_mut().expect("a target")["spec"][field] = value;
    scenario.look();
}

/// When it was reported, and that nothing else was done.
fn only_reported(scenario: &Scenario) -> Option<i64> {
    let acted = scenario
        .remedies
        .iter()
        .find(|(_, remedy)| !matches!(remedy, Remedy::None | Remedy::Report(_)));
    assert_eq!(acted, None);
    scenario.reported(Clock::STANDSTILL)
}

#[test]
fn a_target_that_is_deleted_with_traffic_on_the_canary_is_reported() {
    let mut scenario = with_traffic();
    scenario.until(40);
    scenario.target = None;
    scenario.look();
    assert_eq!(scenario.seen().target, TargetState::Missing);
    scenario.until(HOUR);
    // The deadline of the scenarios is 60 s.
    assert_eq!(only_reported(&scenario), Some(100));
}

#[test]
fn a_pause_a_primary_that_is_not_ready_and_a_spec_that_is_not_observed_are_reported_at_the_deadline() {
    let mut paused = with_traffic();
    paused.until(40);
    change_target(&mut paused, "paused", json!(true));
    paused.until(HOUR);
    assert_eq!(only_reported(&paused), Some(100));

    let mut primary = with_traffic();
    primary.until(40);
    primary.primary = Some(deployment("v1", 4, 3));
    primary.look();
    primary.until(HOUR);
    assert_eq!(only_reported(&primary), Some(100));

    let mut unobserved = with_traffic();
    unobserved.until(40);
    unobserved.target.as_mut().expect("a target")["metadata"]["generation"] = json!(99);
    unobserved.look();
    assert_eq!(unobserved.seen().target, TargetState::Unobserved);
    unobserved.until(HOUR);
    assert_eq!(only_reported(&unobserved), Some(100));
}

#[test]
fn what_goes_on_before_the_deadline_is_not_reported_and_begins_anew_the_next_time() {
    let mut scenario = with_traffic();
    scenario.until(40);
    change_target(&mut scenario, "paused", json!(true));
    scenario.until(95);
    change_target(&mut scenario, "paused", json!(false));
    scenario.until(110);
    change_target(&mut scenario, "paused", json!(true));
    scenario.until(165);
    change_target(&mut scenario, "paused", json!(false));
    assert_eq!(scenario.reported(Clock::STANDSTILL), None);
}

#[test]
fn a_phase_that_is_not_known_and_traffic_that_a_failure_left_are_reported() {
    for phase in ["Pondering", "Failed"] {
        let mut scenario = with_traffic();
        scenario.until(40).phase(phase).flagger(&[("canaryWeight", json!(20))]);
        scenario.until(HOUR);
        assert_eq!(only_reported(&scenario), Some(100), "{phase}");
    }
}

#[test]
fn without_anything_on_the_canary_or_with_a_hold_nothing_stands_still() {
    let mut suspended = with_traffic();
    suspended.until(40);
    change_target(&mut suspended, "paused", json!(true));
    suspended.spec("suspend", json!(true)).until(HOUR);
    assert_eq!(suspended.reported(Clock::STANDSTILL), None);

    let mut promoting = with_traffic();
    promoting.until(40).phase("Promoting");
    promoting.primary = Some(deployment("v1", 4, 3));
    promoting.look();
    promoting.until(110);
    assert_eq!(
        promoting.reported(Clock::STANDSTILL),
        None,
        "Flagger makes the primary so itself"
    );

    let mut done = with_traffic();
    done.until(40).phase("Succeeded").flagger(&[("canaryWeight", json!(0))]);
    done.until(HOUR);
    assert_eq!(done.reported(Clock::STANDSTILL), None);
}

#[test]
fn a_hold_before_it_is_no_standstill() {
    let mut resumed = with_traffic();
    resumed.until(40).spec("suspend", json!(true)).until(HOUR);
    change_target(&mut resumed, "paused", json!(true));
    resumed.spec("suspend", json!(false)).until(HOUR + 50);
    assert_eq!(resumed.reported(Clock::STANDSTILL), None);
    resumed.until(HOUR + 70);
    assert_eq!(only_reported(&resumed), Some(HOUR + 60));
}

#[test]
fn a_moment_in_which_nothing_moves_is_not_named_as_the_next_deadline() {
    let mut scenario = with_traffic();
    scenario.until(40);
    change_target(&mut scenario, "paused", json!(true));
    for (second, named) in [(41, None), (49, None), (51, Some(Clock::STANDSTILL))] {
        scenario.until(second);
        let pending = scenario.evaluation().pending.map(|pending| pending.clock);
        assert_eq!(pending, named, "{second}");
    }
}
