//! An application on the scripted API server: its Canary, its workloads and its pods, and what Flagger and users do to them.

use curfew::cluster::clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::World;

pub const NAMESPACE: &str = "shop";
pub const APP: &str = "web";
/// Failed checks at which Flagger rolls back.
pub const THRESHOLD: i64 = 5;

/// Now, in the whole seconds that Flagger writes.
pub fn time() -> String {
    let now = clock::now().as_second();
    Timestamp::from_second(now).expect("a time").to_string()
}

/// An application whose first version serves, with a deadline of one second.
pub fn install(world: &mut World, name: &str) {
    world.create("canaries", canary(name));
    for (name, ready) in [(name.to_owned(), 0), (format!("{name}-primary"), 4)] {
        world.create("deployments", deployment(&name, ready, ready));
    }
}

/// The same for a `DaemonSet`.
pub fn install_daemon_set(world: &mut World, name: &str) {
    let mut canary = canary(name);
    canary["spec"]["targetRef"]["kind"] = json!("DaemonSet");
    canary["spec"]["progressDeadlineSeconds"] = json!(3);
    world.create("canaries", canary);
    for name in [name.to_owned(), format!("{name}-primary")] {
        let mut daemon_set = deployment(&name, 4, 4);
        daemon_set["kind"] = json!("DaemonSet");
        daemon_set["status"] = json!({"observedGeneration": 1, "desiredNumberScheduled": 4,
            "currentNumberScheduled": 4, "updatedNumberScheduled": 4, "numberAvailable": 4});
        world.create("daemonsets", daemon_set);
    }
}

fn canary(name: &str) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {}},
        "spec": {
            "progressDeadlineSeconds": 1,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": THRESHOLD, "maxWeight": 50, "stepWeight": 10},
        },
        "status": {
            "phase": "Initialized", "canaryWeight": 0, "iterations": 0, "failedChecks": 0,
            "lastAppliedSpec": "v1", "lastTransitionTime": time(),
            "conditions": [{"type": "Promoted", "status": "True", "reason": "Initialized",
                "lastTransitionTime": time(), "lastUpdateTime": time()}],
        },
    })
}

pub fn deployment(name: &str, wanted: i64, available: i64) -> Value {
    let condition = |kind: &str, reason: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": "Kubernetes says so.",
            "lastUpdateTime": time(), "lastTransitionTime": time()})
    };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": name}}, "template": template(name, "v1"),
            "progressDeadlineSeconds": 600},
        "status": {"observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted,
            "availableReplicas": available, "conditions": [
                condition("Available", "MinimumReplicasAvailable"),
                condition("Progressing", "NewReplicaSetAvailable")]},
    })
}

fn template(name: &str, version: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": version}]}})
}

/// Flagger takes up a second version, of whose four pods one is never ready.
pub fn begin(world: &mut World, name: &str) {
    world.change("deployments", NAMESPACE, name, |deployment| {
        deployment["spec"]["template"] = template(name, "v2");
        deployment["spec"]["replicas"] = json!(4);
        for count in ["replicas", "updatedReplicas"] {
            deployment["status"][count] = json!(4);
        }
        deployment["status"]["availableReplicas"] = json!(3);
    });
    start(world, name);
}

/// The same for a `DaemonSet`.
pub fn begin_daemon_set(world: &mut World, name: &str) {
    world.change("daemonsets", NAMESPACE, name, |daemon_set| {
        daemon_set["spec"]["template"] = template(name, "v2");
        daemon_set["status"]["numberAvailable"] = json!(3);
    });
    start(world, name);
}

fn start(world: &mut World, name: &str) {
    let begun = time();
    for index in 0..4 {
        let ready = if index == 0 { "False" } else { "True" };
        world.create(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{name}-{index}"), "namespace": NAMESPACE, "labels": {"app": name},
                    "creationTimestamp": begun},
                "spec": {"containers": []},
                "status": {"phase": "Running",
                    "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": begun}]},
            }),
        );
    }
    world.change("canaries", NAMESPACE, name, |canary| {
        phase(canary, "Progressing");
        canary["status"]["lastAppliedSpec"] = json!("v2");
    });
}

/// Flagger moves a Canary to another phase.
pub fn phase(canary: &mut Value, phase: &str) {
    let standing = match phase {
        "Failed" => "False",
        "Succeeded" | "Initialized" => "True",
        _ => "Unknown",
    };
    let status = &mut canary["status"];
    status["phase"] = json!(phase);
    status["lastTransitionTime"] = json!(time());
    let promoted = &mut status["conditions"][0];
    promoted["reason"] = json!(phase);
    promoted["lastUpdateTime"] = json!(time());
    if promoted["status"] != standing {
        promoted["status"] = json!(standing);
        promoted["lastTransitionTime"] = json!(time());
    }
}

/// Flagger rolls back, as it does at its next check after a verdict.
pub fn fail(world: &mut World, name: &str) {
    world.change("canaries", NAMESPACE, name, |canary| {
        phase(canary, "Failed");
        canary["status"]["failedChecks"] = json!(0);
    });
}

/// A user pushes a fix; Flagger does not know yet.
pub fn push(world: &mut World, name: &str) {
    world.change("deployments", NAMESPACE, name, |deployment| {
        deployment["spec"]["template"] = template(name, "v3");
    });
}

/// Flagger takes the fix up.
pub fn take_up(world: &mut World, name: &str) {
    world.change("canaries", NAMESPACE, name, |canary| {
        canary["status"]["lastAppliedSpec"] = json!("v3");
        canary["status"]["failedChecks"] = json!(0);
        canary["status"]["lastTransitionTime"] = json!(time());
    });
}

/// All pods get ready.
pub fn heal(world: &mut World, name: &str) {
    world.change("deployments", NAMESPACE, name, |deployment| {
        deployment["status"]["availableReplicas"] = json!(4);
    });
    world.change("pods", NAMESPACE, &format!("{name}-0"), |pod| {
        pod["status"]["conditions"][0]["status"] = json!("True");
    });
}

pub fn suspend(world: &mut World, name: &str) {
    world.change("canaries", NAMESPACE, name, |canary| {
        canary["spec"]["suspend"] = json!(true);
    });
}

/// Somebody deletes the Canary and makes another one of the same name, on the same workload.
pub fn make_anew(world: &mut World, name: &str) {
    world.delete("canaries", NAMESPACE, name);
    world.create("canaries", canary(name));
}

/// A Canary's status as it is now.
pub fn status_of<'a>(world: &'a World, name: &str) -> &'a Value {
    &world.get("canaries", NAMESPACE, name).expect("the Canary")["status"]
}

/// A Deployment's `Progressing` condition.
pub fn progressing<'a>(world: &'a World, name: &str) -> &'a Value {
    let deployment = world.get("deployments", NAMESPACE, name).expect("the Deployment");
    let conditions = deployment["status"]["conditions"].as_array().expect("conditions");
    let found = conditions.iter().find(|condition| condition["type"] == "Progressing");
    found.expect("the condition")
}

/// Whether both levers are in place.
pub fn is_handed_over(world: &World, name: &str) -> bool {
    is_failed_checks(world, name) && progressing(world, name)["reason"] == "ProgressDeadlineExceeded"
}

/// Whether the first lever is in place.
pub fn is_failed_checks(world: &World, name: &str) -> bool {
    status_of(world, name)["failedChecks"] == THRESHOLD
}

/// The verdict on a Canary.
pub fn verdict(world: &World, name: &str) -> Option<Value> {
    let canary = world.get("canaries", NAMESPACE, name)?;
    let text = canary["metadata"]["annotations"]["curfew.dev/verdict"].as_str()?;
    Some(serde_json::from_str(text).expect("JSON"))
}

/// Whether the verdict on a Canary has this result.
pub fn has_result(world: &World, name: &str, result: &str) -> Option<()> {
    verdict(world, name)
        .filter(|verdict| verdict["result"] == result)
        .map(drop)
}
