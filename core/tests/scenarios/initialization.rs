//! The initialization clock: a live workload that is being initialized.

use curfew_core::{
    deadline::{Conditions, evaluate::RolloutState},
    rollout::{Clock, guard::Guard, remedy::Remedy},
};
use jiff::SignedDuration;
use serde_json::json;

use super::scenario::{Scenario, deployment};

fn initialization() -> Scenario {
    let mut scenario = Scenario::begin();
    scenario.canary["status"] = json!({"phase": "Initializing"});
    let mut primary = deployment("v1", 4, 0);
    primary["spec"]["progressDeadlineSeconds"] = json!(600);
    primary["status"]["conditions"] = json!([
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "lastUpdateTime": Scenario::at(0)},
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "lastUpdateTime": Scenario::at(0)}]);
    scenario.primary = Some(primary);
    scenario.target = Some(deployment("v1", 4, 4));
    scenario.stamp = curfew_core::rollout::stamp::Stamp::default();
    scenario.look();
    scenario
}

#[test]
fn an_initialization_is_held_before_flagger_would_end_it() {
    let mut scenario = initialization();
    scenario.until(47);
    assert_eq!(scenario.remedies, []);
    scenario.until(48);
    assert!(
        matches!(scenario.remedies[..], [(48, Remedy::Hold(_))]),
        "{:?}",
        scenario.remedies
    );
    assert!(matches!(scenario.evaluation().state, RolloutState::Holding(_)));
}

#[test]
fn a_hold_waits_while_it_is_not_known_what_time_it_is_or_what_goes_on() {
    for (skew, stale_watch, guard) in [
        (31, None, Guard::Skewed(SignedDuration::from_secs(31))),
        (0, Some(151), Guard::Stale(SignedDuration::from_secs(151))),
    ] {
        let mut scenario = initialization();
        scenario.conditions.skew = SignedDuration::from_secs(skew);
        scenario.conditions.stale_watch = stale_watch.map(SignedDuration::from_secs);
        // An outage that has just ended holds no hold back.
        scenario.conditions.outage_ended = Some(SignedDuration::ZERO);
        scenario.until(48);
        let (second, last) = scenario.remedies.last().expect("a remedy");
        assert!(
            matches!(last, Remedy::Withhold(_, found) if *found == guard),
            "{second}: {last:?}"
        );
        scenario.conditions = Conditions::default();
        scenario.until(49);
        let (_, last) = scenario.remedies.last().expect("a remedy");
        assert!(matches!(last, Remedy::Hold(_)), "{last:?}");
    }
}

#[test]
fn an_initialization_is_held_before_kubernetes_would_end_it_too() {
    let mut scenario = initialization();
    scenario.primary.as_mut().expect("a primary")["status"]["conditions"][0]["lastUpdateTime"] =
        json!(Scenario::at(470));
    scenario.until(479);
    assert_eq!(scenario.remedies, []);
    scenario.until(480);
    assert!(
        matches!(scenario.remedies[..], [(480, Remedy::Hold(_))]),
        "{:?}",
        scenario.remedies
    );
}

#[test]
fn nothing_is_held_when_the_primary_is_ready() {
    let mut ready = initialization();
    ready.primary = Some(deployment("v1", 4, 4));
    ready.until(1000);
    assert_eq!(ready.remedies, []);
}

#[test]
fn an_initialization_that_skips_the_analysis_waits_for_no_primary() {
    let mut scenario = initialization();
    scenario.spec("skipAnalysis", json!(true)).until(1000);
    assert_eq!((&scenario.remedies, &scenario.reports), (&vec![], &vec![]));
}

#[test]
fn an_initialization_with_nothing_to_lose_or_of_a_daemon_set_is_only_told() {
    let mut empty = initialization();
    empty.target = Some(deployment("v1", 4, 0));
    empty.until(47);
    assert_eq!(empty.reports, []);
    empty.until(48);
    assert_eq!(empty.reported(Clock::INITIALIZATION), Some(48));
    assert_eq!(empty.remedies, []);

    let mut daemons = initialization();
    daemons.canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    daemons.canary["status"]["lastTransitionTime"] = json!(Scenario::at(10).to_string());
    let daemon_set = |available: i64| {
        json!({"metadata": {"name": "web", "generation": 1}, "spec": {}, "status": {"observedGeneration": 1,
            "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": available}})
    };
    (daemons.target, daemons.primary) = (Some(daemon_set(3)), Some(daemon_set(1)));
    daemons.look();
    daemons.until(57);
    assert_eq!(daemons.reports, []);
    daemons.until(58);
    assert_eq!(daemons.reported(Clock::INITIALIZATION), Some(58));
    assert_eq!(daemons.remedies, []);
}

#[test]
fn an_initialization_that_does_not_even_begin_is_told_after_its_deadline_and_some_looks() {
    let mut scenario = initialization();
    scenario.canary["metadata"]["creationTimestamp"] = json!(Scenario::at(5).to_string());
    scenario.primary = None;
    scenario.look();
    scenario.until(124);
    assert_eq!(scenario.reports, []);
    scenario.until(125);
    assert_eq!(scenario.reported(Clock::INITIALIZATION), Some(125));
    assert_eq!(scenario.remedies, []);
}

#[test]
fn an_initialization_that_is_suspended_or_deleted_is_left_alone() {
    let mut suspended = initialization();
    suspended.spec("suspend", json!(true)).until(1000);
    assert_eq!((&suspended.remedies, &suspended.reports), (&vec![], &vec![]));
    let mut deleted = initialization();
    deleted.delete().until(1000);
    assert_eq!((&deleted.remedies, &deleted.reports), (&vec![], &vec![]));
}
