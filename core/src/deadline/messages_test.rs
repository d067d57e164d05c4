use serde_json::json;

use super::*;
use crate::{
    deadline::{pod_failure::PodFailure, pods::PodSeen},
    flagger::canary::Canary,
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
        for clock in [Clock::Readiness, Clock::Crashes, Clock::Rollout] {
            assert_eq!(
                said("Deployment", counts, pods, failure, clock),
                expected,
                "{clock:?} {counts:?}"
            );
        }
    }
    let late = "the target is ready, but the rollout is not done";
    assert_eq!(said("Deployment", (1, 1), &fine, None, Clock::Rollout), late);
    assert_eq!(said("Service", (0, 0), &[], None, Clock::Rollout), late);
    // It failed too often, and runs at this moment.
    let mut again = pod("web-a", Some("Running"));
    again.ready = true;
    assert_eq!(
        said("Deployment", (1, 1), &[again], None, Clock::Crashes),
        "web-a container app: Running"
    );
}

#[test]
fn a_breach_is_told_with_its_clock_its_limit_and_why() {
    let said = |clock| {
        let breach = Breach {
            clock,
            deadline: Timestamp::UNIX_EPOCH,
            limit: SignedDuration::from_secs(90),
        };
        exceeded(&breach, "because")
    };
    for (clock, expected) in [
        (Clock::Readiness, "the readiness deadline of 90 s has passed: because"),
        (
            Clock::Crashes,
            "the failed exits of one container reached the policy's limit within 90 s: because",
        ),
        (
            Clock::Initialization,
            "the initialization is not done, and its deadline of 90 s is near or past: because",
        ),
    ] {
        assert_eq!(said(clock), expected);
    }
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
    for clock in [Clock::Initialization, Clock::Promotion] {
        assert_eq!(
            why(with(Some(&workload)), clock),
            "1 of 4 pods of the primary are available"
        );
        assert_eq!(why(with(None), clock), "the primary is not there");
    }
    assert_eq!(why(with(None), Clock::Readiness), "the target is not there");
}

#[test]
fn what_is_withheld_says_what_is_waited_for() {
    let moment = Timestamp::UNIX_EPOCH;
    for (withheld_for, expected) in [
        (Guard::Skewed(SignedDuration::from_secs(-40)), "are 40 s apart"),
        (Guard::Stale(SignedDuration::from_secs(70)), "silent for 70 s"),
        (
            Guard::Breaker(moment, Cause::Starting),
            "not every rollout has been looked at",
        ),
        (Guard::ControllersBehind, "kube-controller-manager does not keep up"),
        (Guard::FixPushed(moment), "Flagger will look at the new one"),
        (Guard::Unproven(moment), "found running"),
        (Guard::NotLooking(TargetState::PrimaryNotReady), "waits for the primary"),
        (Guard::NotLooking(TargetState::Paused), "the target is paused"),
        (Guard::NotLooking(TargetState::Missing), "cannot judge the target now"),
        (Guard::Forbidden, "a permission is missing"),
        (Guard::Blind, "pods cannot be looked at"),
    ] {
        let said = withheld(withheld_for);
        assert!(said.contains(expected), "{withheld_for:?}: {said}");
    }
}

#[test]
fn deadlines_that_somebody_changed_in_mid_rollout_are_put_on_record() {
    let deadlines = |rollout: i64, readiness: i64, whole: Option<i64>| Deadlines {
        rollout: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(rollout),
        readiness: Some(SignedDuration::from_secs(readiness)),
        whole: whole.map(SignedDuration::from_secs),
    };
    let before = deadlines(1, 180, None);
    for (now, expected) in [
        (deadlines(1, 180, None), None),
        // Another rollout has what it has.
        (deadlines(2, 600, None), None),
        (
            deadlines(1, 600, None),
            Some(
                "the deadline for readiness is 600 s now, and was 180 s; in mid-rollout, counted from where each began",
            ),
        ),
        (
            deadlines(1, 180, Some(7200)),
            Some(
                "the deadline for the whole rollout is 7200 s now, and was none; in mid-rollout, counted from where each began",
            ),
        ),
    ] {
        assert_eq!(now.changed_since(before).as_deref(), expected, "{now:?}");
    }
}
