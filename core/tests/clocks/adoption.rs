//! The initialization clock: a live workload that is being adopted.

use curfew_core::deadline::{Clock, judge::State, remedy::Remedy};
use serde_json::json;

use super::film::{Film, deployment};

fn adoption() -> Film {
    let mut film = Film::begin();
    film.canary["status"] = json!({"phase": "Initializing"});
    let mut primary = deployment("v1", 4, 0);
    primary["spec"]["progressDeadlineSeconds"] = json!(600);
    primary["status"]["conditions"] = json!([
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "lastUpdateTime": Film::at(0)},
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "lastUpdateTime": Film::at(0)}]);
    film.primary = Some(primary);
    film.target = Some(deployment("v1", 4, 4));
    film.stamp = curfew_core::deadline::stamp::Stamp::default();
    film.look();
    film
}

#[test]
fn an_adoption_is_held_before_flagger_would_end_it() {
    let mut film = adoption();
    film.until(47);
    assert_eq!(film.remedies, []);
    film.until(48);
    assert!(
        matches!(film.remedies[..], [(48, Remedy::Hold(_))]),
        "{:?}",
        film.remedies
    );
    assert!(matches!(film.judgement().state, State::Holding(_)));
}

#[test]
fn an_adoption_is_held_before_kubernetes_would_end_it_too() {
    let mut film = adoption();
    film.primary.as_mut().expect("a primary")["status"]["conditions"][0]["lastUpdateTime"] = json!(Film::at(470));
    film.until(479);
    assert_eq!(film.remedies, []);
    film.until(480);
    assert!(
        matches!(film.remedies[..], [(480, Remedy::Hold(_))]),
        "{:?}",
        film.remedies
    );
}

#[test]
fn nothing_is_held_when_the_primary_is_ready() {
    let mut ready = adoption();
    ready.primary = Some(deployment("v1", 4, 4));
    ready.until(1000);
    assert_eq!(ready.remedies, []);
}

#[test]
fn an_adoption_that_skips_the_analysis_waits_for_no_primary() {
    let mut film = adoption();
    film.spec("skipAnalysis", json!(true)).until(1000);
    assert_eq!((&film.remedies, &film.reports), (&vec![], &vec![]));
}

#[test]
fn an_adoption_with_nothing_to_lose_or_of_a_daemon_set_is_only_told() {
    let mut empty = adoption();
    empty.target = Some(deployment("v1", 4, 0));
    empty.until(47);
    assert_eq!(empty.reports, []);
    empty.until(48);
    assert_eq!(empty.reported(Clock::Initialization), Some(48));
    assert_eq!(empty.remedies, []);

    let mut daemons = adoption();
    daemons.canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    daemons.canary["status"]["lastTransitionTime"] = json!(Film::at(10).to_string());
    let daemon_set = |available: i64| {
        json!({"metadata": {"name": "web", "generation": 1}, "spec": {}, "status": {"observedGeneration": 1,
            "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": available}})
    };
    (daemons.target, daemons.primary) = (Some(daemon_set(3)), Some(daemon_set(1)));
    daemons.look();
    daemons.until(57);
    assert_eq!(daemons.reports, []);
    daemons.until(58);
    assert_eq!(daemons.reported(Clock::Initialization), Some(58));
    assert_eq!(daemons.remedies, []);
}

#[test]
fn an_adoption_that_does_not_even_begin_is_told_after_its_deadline_and_some_looks() {
    let mut film = adoption();
    film.canary["metadata"]["creationTimestamp"] = json!(Film::at(5).to_string());
    film.primary = None;
    film.look();
    film.until(124);
    assert_eq!(film.reports, []);
    film.until(125);
    assert_eq!(film.reported(Clock::Initialization), Some(125));
    assert_eq!(film.remedies, []);
}

#[test]
fn an_adoption_that_is_suspended_or_deleted_is_left_alone() {
    let mut suspended = adoption();
    suspended.spec("suspend", json!(true)).until(1000);
    assert_eq!((&suspended.remedies, &suspended.reports), (&vec![], &vec![]));
    let mut deleted = adoption();
    deleted.delete().until(1000);
    assert_eq!((&deleted.remedies, &deleted.reports), (&vec![], &vec![]));
}
