use serde_json::json;

use super::*;
use crate::{
    flagger::canary::Canary,
    rollout::{pod_failure::PodFailure, pods::PodSeen},
};

#[test]
fn the_reason_says_what_keeps_pods_from_being_created_and_what_ails_the_others() {
    let pod = |name: &str, failure: Option<&str>| PodSeen {
        name: name.to_owned(),
        created: None,
        ready: failure.is_none(),
        since: None,
        failure: failure.map(|reason| PodFailure {
            container: Some("app".to_owned()),
            reason: reason.to_owned(),
            exit_code: None,
            ended: None,
            restarts: 0,
            message: None,
        }),
        containers: Vec::new(),
    };
    let said = |kind: &str, counts: (i64, i64), pods: &[PodSeen], failure: Option<&str>, clock| {
        let canary = Canary::from_json(json!({"spec": {"targetRef": {"apiVersion": "v1", "kind": kind}}}));
        let target = Workload::deployment(&json!({
            "spec": {"replicas": counts.0},
            "status": {"availableReplicas": counts.1, "conditions": failure.map(|message| vec![
                json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message})])},
        }));
        let objects = Objects {
            canary: &canary,
            target: (kind == "Deployment").then_some(&target),
            primary: None,
            pods: Some(pods),
            last_event: None,
            canaries: 0,
        };
        why(objects, clock)
    };
    let quota = Some("exceeded quota: tight");
    let denied = "pods cannot be created: exceeded quota: tight";
    let named = "1 of 2 pods not ready: web-b container app: ImagePullBackOff";
    let both = format!("{denied}; {named}");
    let (fine, mixed) = (
        [pod("web-a", None)],
        [pod("web-a", None), pod("web-b", Some("ImagePullBackOff"))],
    );
    for (counts, pods, failure, expected) in [
        ((2, 0), &[][..], quota, denied),
        // The pods that there are do well.
        ((2, 1), &fine, quota, denied),
        ((3, 1), &mixed, quota, &both),
        ((2, 1), &mixed, None, named),
        ((2, 1), &[], None, "1 of 2 pods are available"),
        (
            (0, 0),
            &[],
            None,
            "the target wants 0 replicas, so that nothing can become ready",
        ),
    ] {
        for clock in [Clock::READINESS, Clock::CRASHES, Clock::ROLLOUT] {
            assert_eq!(
                said("Deployment", counts, pods, failure, clock),
                expected,
                "{clock:?} {counts:?}"
            );
        }
    }
    let late = "the target is ready, but the rollout is not done";
    assert_eq!(said("Deployment", (1, 1), &fine, None, Clock::ROLLOUT), late);
    assert_eq!(said("Service", (0, 0), &[], None, Clock::ROLLOUT), late);
    // It failed too often, and runs at this moment.
    let mut again = pod("web-a", Some("Running"));
    again.ready = true;
    assert_eq!(
        said("Deployment", (1, 1), &[again], None, Clock::CRASHES),
        "web-a container app: Running"
    );
}

#[test]
fn an_initialization_that_is_held_is_told_with_what_its_primary_lacks() {
    let canary = Canary::from_json(json!({}));
    let workload = Workload::deployment(&json!({"spec": {"replicas": 4}, "status": {"availableReplicas": 1}}));
    let with = |primary| Objects {
        canary: &canary,
        target: None,
        primary,
        pods: None,
        last_event: None,
        canaries: 0,
    };
    assert_eq!(
        held(with(Some(&workload))),
        "1 of 4 pods of the primary are available; Flagger would give up and scale the live workload to 0"
    );
    for clock in [Clock::INITIALIZATION, Clock::PROMOTION] {
        assert_eq!(
            why(with(Some(&workload)), clock),
            "1 of 4 pods of the primary are available"
        );
        assert_eq!(why(with(None), clock), "the primary is not there");
    }
    assert_eq!(why(with(None), Clock::READINESS), "the target is not there");
}

#[test]
fn what_keeps_a_rollout_from_going_on_is_said_in_the_order_in_which_flagger_finds_out() {
    let workload = |paused: bool, observed: i64| {
        Workload::deployment(&json!({
            "metadata": {"generation": 2}, "spec": {"paused": paused}, "status": {"observedGeneration": observed},
        }))
    };
    let well = workload(false, 2);
    for (phase, target, primary, words) in [
        (
            "Pondering",
            Some(&well),
            Some(&well),
            "a phase that Curfew does not know",
        ),
        ("Failed", Some(&well), Some(&well), "left traffic on the canary"),
        ("Progressing", None, Some(&well), "the target is not there"),
        ("Progressing", Some(&workload(true, 1)), None, "the target is paused"),
        (
            "Progressing",
            Some(&workload(false, 1)),
            None,
            "has not looked at its spec",
        ),
        ("Progressing", Some(&well), None, "the primary is not there"),
        ("Progressing", Some(&well), Some(&well), "the primary is not ready"),
    ] {
        let canary = Canary::from_json(json!({"status": {"phase": phase}}));
        let objects = Objects {
            canary: &canary,
            target,
            primary,
            pods: None,
            last_event: None,
            canaries: 0,
        };
        assert!(blocked(objects).contains(words), "{phase}: {}", blocked(objects));
    }
}
