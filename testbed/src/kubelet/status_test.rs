use serde_json::{Value, json};

use super::{super::outcome::Outcome, *};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_442_400 + seconds).unwrap()
}

fn pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1"},
        "spec": {
            "initContainers": [{"name": "init", "image": "init:1"}, {"name": "mesh", "restartPolicy": "Always"}],
            "containers": [{"name": "log", "image": "log:1"}, {"name": "app", "image": "app:1"}],
        },
    }))
    .unwrap()
}

/// The status of a pod that was told `outcome` at 0, at `now`.
fn seen(outcome: &str, now: i64) -> Value {
    let mut life = Life::new(outcome.parse::<Outcome>().unwrap(), at(0));
    life.advance(at(now));
    serde_json::to_value(status(&pod(), &life, at(now), None)).unwrap()
}

fn condition_of(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().unwrap();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_ready_pod_is_ready_in_every_respect() {
    let status = seen("ready", 5);
    assert_eq!(status["phase"], "Running");
    for kind in [
        "PodScheduled",
        "Initialized",
        "ContainersReady",
        "Ready",
        "PodReadyToStartContainers",
    ] {
        assert_eq!(condition_of(&status, kind)["status"], "True", "{kind}");
        assert_eq!(
            condition_of(&status, kind)["lastTransitionTime"],
            json!(at(0)),
            "{kind}"
        );
    }
    let app = &status["containerStatuses"][1];
    assert_eq!(
        (&app["name"], &app["ready"], &app["started"], &app["restartCount"]),
        (&json!("app"), &json!(true), &json!(true), &json!(0))
    );
    assert_eq!(app["state"], json!({"running": {"startedAt": at(0)}}));
    assert_eq!(status["startTime"], json!(at(0)));
    assert!(status["podIP"].as_str().unwrap().starts_with("10.244."));
}

#[test]
fn init_containers_are_done_and_sidecars_run() {
    let status = seen("ready", 5);
    assert_eq!(
        status["initContainerStatuses"][0]["state"]["terminated"]["reason"],
        "Completed"
    );
    assert_eq!(
        status["initContainerStatuses"][1]["state"]["running"]["startedAt"],
        json!(at(0))
    );
}

#[test]
fn a_crash_is_shown_as_such_and_then_as_a_wait() {
    // The first exit: at 1, shown for the second in which the kubelet notices it.
    let status = seen("crash", 1);
    let app = &status["containerStatuses"][1];
    assert_eq!(app["state"]["terminated"]["exitCode"], 1);
    assert_eq!(app["state"]["terminated"]["reason"], "Error");
    assert_eq!(app["state"]["terminated"]["startedAt"], json!(at(0)));
    assert_eq!(app["lastState"], Value::Null);

    // The second: at 3; the container is down until 13.
    let status = seen("crash", 4);
    assert_eq!(status["phase"], "Running");
    let app = &status["containerStatuses"][1];
    assert_eq!(app["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(
        app["state"]["waiting"]["message"],
        "back-off 10s restarting failed container=app pod=web-1_shop(u-1)"
    );
    assert_eq!(app["lastState"]["terminated"]["finishedAt"], json!(at(3)));
    assert_eq!(
        (&app["restartCount"], &app["ready"], &app["started"]),
        (&json!(1), &json!(false), &json!(false))
    );
    let log = &status["containerStatuses"][0];
    assert_eq!((&log["ready"], &log["restartCount"]), (&json!(true), &json!(0)));
    let ready = condition_of(&status, "Ready");
    assert_eq!(ready["status"], "False");
    assert_eq!(ready["reason"], "ContainersNotReady");
    assert_eq!(ready["message"], "containers with unready status: [app]");
}

#[test]
fn a_run_has_one_id_from_its_start_to_its_end() {
    let running = seen("crash", 2)["containerStatuses"][1].clone();
    let ended = seen("crash", 3)["containerStatuses"][1].clone();
    let waiting = seen("crash", 4)["containerStatuses"][1].clone();
    let next = seen("crash", 13)["containerStatuses"][1].clone();
    assert_eq!(running["containerID"], ended["state"]["terminated"]["containerID"]);
    assert_eq!(
        running["containerID"],
        waiting["lastState"]["terminated"]["containerID"]
    );
    assert_eq!(running["containerID"], next["lastState"]["terminated"]["containerID"]);
    assert_ne!(running["containerID"], next["containerID"]);
}

#[test]
fn other_failures_have_their_own_words() {
    let out_of_memory = seen("oom", 4);
    let last = &out_of_memory["containerStatuses"][1]["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)));

    let first = seen("image-pull", 0);
    assert_eq!(first["phase"], "Pending");
    assert_eq!(
        first["containerStatuses"][1]["state"]["waiting"]["reason"],
        "ErrImagePull"
    );
    assert_eq!(
        seen("image-pull", 2)["containerStatuses"][1]["state"]["waiting"]["reason"],
        "ImagePullBackOff"
    );
    assert_eq!(
        seen("image-pull", 10)["containerStatuses"][1]["state"]["waiting"]["reason"],
        "ErrImagePull"
    );

    let unconfigured = seen("config-error", 9);
    assert_eq!(unconfigured["phase"], "Pending");
    assert_eq!(
        unconfigured["containerStatuses"][1]["state"]["waiting"]["reason"],
        "CreateContainerConfigError"
    );

    let pending = seen("pending", 9);
    assert_eq!(pending["phase"], "Pending");
    assert_eq!(pending["containerStatuses"], Value::Null);
    let scheduled = condition_of(&pending, "PodScheduled");
    assert_eq!(
        (&scheduled["status"], &scheduled["reason"]),
        (&json!("False"), &json!("Unschedulable"))
    );
    assert!(
        scheduled["message"]
            .as_str()
            .unwrap()
            .starts_with("0/3 nodes are available: ")
    );
}

#[test]
fn a_pod_that_recovers_keeps_what_happened_to_it() {
    let mut life = Life::new("crash".parse().unwrap(), at(0));
    life.change(Outcome::Ready, at(5));
    let status = serde_json::to_value(status(&pod(), &life, at(6), None)).unwrap();
    assert_eq!(condition_of(&status, "Ready")["lastTransitionTime"], json!(at(5)));
    let app = &status["containerStatuses"][1];
    assert_eq!((&app["restartCount"], &app["ready"]), (&json!(2), &json!(true)));
    assert_eq!(app["lastState"]["terminated"]["finishedAt"], json!(at(3)));
}

#[test]
fn durations_are_written_as_go_does() {
    let said = [10, 59, 60, 80, 160, 300].map(|seconds| go_duration(Duration::from_secs(seconds)));
    assert_eq!(said, ["10s", "59s", "1m0s", "1m20s", "2m40s", "5m0s"]);
}
