use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::rollout::pods::tests::{initializing, pod};

fn crashing(name: &str, restarts: i32) -> PodSeen {
    pod(
        name,
        Some("False"),
        "2026-11-23T14:00:10Z",
        &json!([
            {"name": "proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}},
            {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": restarts,
             "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
             "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no database\n at db:5432"}}},
        ]),
    )
}

fn fine(name: &str) -> PodSeen {
    pod(name, Some("True"), "2026-11-23T14:00:05Z", &json!([]))
}

#[test]
fn the_reason_names_pod_container_and_what_it_said_last() {
    assert_eq!(
        reason(&[fine("web-a"), crashing("web-b", 4)]).expect("a reason"),
        "1 of 2 pods not ready: web-b container app: CrashLoopBackOff, exit code 1, 4 restarts, \
         \"no database at db:5432\""
    );
}

#[test]
fn many_pods_with_one_reason_are_one_line_with_a_count() {
    assert_eq!(
        reason(&[
            crashing("web-a", 1),
            crashing("web-b", 3),
            crashing("web-c", 2),
            fine("web-d")
        ])
        .expect("a reason"),
        "3 of 4 pods not ready: web-b and 2 more container app: CrashLoopBackOff, exit code 1, 3 restarts, \
         \"no database at db:5432\""
    );
}

#[test]
fn troubles_of_different_kinds_are_told_apart_the_worst_and_most_frequent_first() {
    let waiting = |name: &str, reason: &str| {
        pod(
            name,
            Some("False"),
            "2026-11-23T14:00:10Z",
            &json!([{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": reason}}}]),
        )
    };
    let mut pods = vec![
        waiting("web-a", "ContainerCreating"),
        waiting("web-b", "ErrImagePull"),
        waiting("web-c", "ImagePullBackOff"),
        waiting("web-d", "ImagePullBackOff"),
    ];
    assert_eq!(
        reason(&pods).expect("a reason"),
        "4 of 4 pods not ready: web-d and 1 more container app: ImagePullBackOff; web-b container app: ErrImagePull; \
         web-a container app: ContainerCreating"
    );
    pods.push(waiting("web-e", "PodInitializing"));
    assert!(reason(&pods).expect("a reason").ends_with("; and 1 more kinds"));
}

#[test]
fn an_out_of_memory_kill_is_told() {
    let killed = pod(
        "web-a",
        Some("False"),
        "2026-11-23T14:00:10Z",
        &json!([
        {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 2,
         "state": {"waiting": {"reason": "CrashLoopBackOff",
            "message": "back-off 20s restarting failed container=app pod=web-a_shop(0c7f)"}},
         "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]),
    );
    assert_eq!(
        reason(&[killed]).expect("a reason"),
        "1 of 1 pods not ready: web-a container app: CrashLoopBackOff (OOMKilled), exit code 137, 2 restarts"
    );
}

#[test]
fn a_failing_probe_an_image_and_a_scheduler_are_told() {
    let probe = pod(
        "web-a",
        Some("False"),
        "2026-11-23T14:00:10Z",
        &json!([
        {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}}]),
    );
    assert_eq!(
        reason(&[probe]).expect("a reason"),
        "1 of 1 pods not ready: web-a container app: NotReady, \"running, but its readiness probe does not pass\""
    );
    let image = pod(
        "web-a",
        Some("False"),
        "2026-11-23T14:00:10Z",
        &json!([
        {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"app:2\""}}}]),
    );
    assert!(
        reason(&[image])
            .expect("a reason")
            .contains("app: ImagePullBackOff, \"Back-off pulling")
    );
    let pending: Pod = serde_json::from_value(json!({"metadata": {"name": "web-a"}, "status": {"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]}}))
    .expect("a pod");
    assert_eq!(
        reason(&[PodSeen::from(&pending)]).expect("a reason"),
        "1 of 1 pods not ready: web-a Unschedulable, \"0/3 nodes are available\""
    );
}

#[test]
fn init_containers_and_sidecars_are_told_when_the_pod_waits_for_them() {
    let (running, waits) = (
        json!({"running": {}}),
        json!({"waiting": {"reason": "PodInitializing"}}),
    );
    let app_waits = json!({"state": waits});
    let app_runs = json!({"state": running, "ready": true});
    let crashed = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3,
        "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": "no such host"}}});
    let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}, "ready": true});
    for (policy, init, app, expected) in [
        // It hangs.
        (
            None,
            json!({"state": running}),
            &app_waits,
            "container setup: Initializing, \"the init container has not finished\"",
        ),
        // It failed before and hangs now.
        (
            None,
            json!({"state": running, "restartCount": 1, "lastState": crashed["lastState"]}),
            &app_waits,
            "container setup: Initializing, exit code 2, 1 restart, \"no such host\"",
        ),
        (
            None,
            crashed.clone(),
            &app_waits,
            "container setup: CrashLoopBackOff, exit code 2, 3 restarts, \"no such host\"",
        ),
        (
            Some("Always"),
            crashed,
            &app_runs,
            "container setup: CrashLoopBackOff, exit code 2, 3 restarts, \"no such host\"",
        ),
        (
            Some("Always"),
            json!({"state": running}),
            &app_runs,
            "container setup: NotReady, \"running, but its readiness probe does not pass\"",
        ),
        // It did its work, and the image of the other is not there.
        (
            None,
            done.clone(),
            &json!({"state": {"waiting": {"reason": "ImagePullBackOff"}}}),
            "container app: ImagePullBackOff",
        ),
        // It failed a moment ago.
        (
            None,
            json!({"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}),
            &app_waits,
            "container setup: Error, exit code 3",
        ),
        // It did its work, and nothing is wrong yet.
        (
            None,
            done,
            &json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
            "container app: ContainerCreating",
        ),
        // A sidecar that was restarted once does its work.
        (
            Some("Always"),
            json!({"state": running, "ready": true, "restartCount": 1}),
            &json!({"state": running}),
            "container app: NotReady, \"running, but its readiness probe does not pass\"",
        ),
        // One that only is not ready tells less than one that fails, however often it was restarted.
        (
            Some("Always"),
            json!({"state": running, "restartCount": 5}),
            &json!({"state": {"waiting": {"reason": "ImagePullBackOff"}}}),
            "container app: ImagePullBackOff",
        ),
    ] {
        let said = reason(&[initializing(policy, &init, app)]).expect("a reason");
        assert_eq!(said, format!("1 of 1 pods not ready: web-a {expected}"), "{init} {app}");
    }
}

#[test]
fn what_only_the_pod_itself_says_is_told() {
    let said = |status: Value| {
        let pod = json!({"metadata": {"name": "web-a"}, "status": status});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        reason(&[PodSeen::from(&pod)]).expect("a reason")
    };
    let running = json!([{"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]);
    assert_eq!(
        said(
            json!({"containerStatuses": running, "conditions": [{"type": "Ready", "status": "False",
            "reason": "ReadinessGatesNotReady", "message": "the status of pod readiness gate \"lb\" is not \"True\""}]})
        ),
        "1 of 1 pods not ready: web-a ReadinessGatesNotReady, \
         \"the status of pod readiness gate \\\"lb\\\" is not \\\"True\\\"\""
    );
    assert_eq!(
        said(json!({"phase": "Pending", "reason": "NodeAffinity", "message": "no node fits"})),
        "1 of 1 pods not ready: web-a NodeAffinity, \"no node fits\""
    );
    let missing = json!([{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "configmap \"app\" not found"}}}]);
    assert_eq!(
        said(json!({"containerStatuses": missing})),
        "1 of 1 pods not ready: web-a container app: CreateContainerConfigError, \"configmap \\\"app\\\" not found\""
    );
    assert_eq!(said(json!({})), "1 of 1 pods not ready: web-a not ready");
}

#[test]
fn a_container_that_failed_and_runs_again_is_named() {
    let again = |name: &str, restarts: i32| {
        pod(
            name,
            Some("True"),
            "2026-11-23T14:00:10Z",
            &json!([
            {"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": restarts, "state": {"running": {}},
             "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no database"}}}]),
        )
    };
    let pods = [fine("web-a"), again("web-b", 3), again("web-c", 1)];
    assert_eq!(reason(&pods), None);
    assert_eq!(
        failed_before(&pods).expect("a failure"),
        "web-b container app: Running, exit code 1, 3 restarts, \"no database\""
    );
    assert_eq!(failed_before(&[fine("web-a")]), None);
}

#[test]
fn ready_pods_give_no_reason() {
    assert_eq!(reason(&[fine("web-a")]), None);
    assert_eq!(reason(&[]), None);
}
