//! A Canary that is deleted in mid-rollout and comes back, one that changes its target, and status that nobody in his right
//! mind wrote: nothing is done wrongly, and the others are looked after.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use testbed::{Component, Options, Plane, audit};

use crate::{
    idle::CURFEW,
    planes,
    stage::{APP, App, Seen, Stage},
};

/// More requests than this in a minute are too many.
const A_MINUTE: usize = 40;

fn app() -> App {
    App {
        pods: 4,
        deadline: 30,
        ..App::default()
    }
}

fn is_touched(seen: &Seen) -> bool {
    let rolled_back = |verdict: Value| verdict["remedy"] != "report" && verdict["result"] != "withheld";
    seen.failed_checks() > 0 || seen.verdict().is_some_and(rolled_back)
}

/// Deleted in mid-rollout, before its deadline, and created again under its name.
async fn recreated(plane: &Plane) {
    let stage = Stage::open(plane, "recreated").await;
    stage.install(&app()).await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("its deadline is stamped", 15, |seen| seen.stamp("deadline").map(|_| ()))
        .await;
    let canaries = stage.canaries();
    canaries.delete(APP, &DeleteParams::default()).await.unwrap();
    stage
        .eventually("it is gone", 10, async || {
            canaries.get_opt(APP).await.unwrap().is_none().then_some(())
        })
        .await;
    stage.create(&app().canary()).await;
    stage
        .never("the deadline of one that is gone was held against it", 35, is_touched)
        .await;
}

/// In mid-rollout the target is another workload, which is well.
async fn retargeted(plane: &Plane) {
    let stage = Stage::open(plane, "retargeted").await;
    stage.install(&app()).await;
    let mut other = app().deployment();
    other["metadata"]["name"] = "other".into();
    let labels = json!({"app": "other"});
    other["spec"]["selector"]["matchLabels"] = labels.clone();
    other["spec"]["template"]["metadata"]["labels"] = labels;
    stage.create(&other).await;
    stage.replicas("other", 4).await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    let patch = Patch::Merge(json!({"spec": {"targetRef": {"name": "other"}}}));
    stage
        .canaries()
        .patch(APP, &PatchParams::default(), &patch)
        .await
        .unwrap();
    stage
        .never("another workload's deadline was held against it", 35, is_touched)
        .await;
}

/// A healthy rollout, whose status somebody makes into this.
async fn scribbled_over(plane: &Plane, story: &str, status: Value) -> Stage {
    let stage = Stage::open(plane, story).await;
    let long = App {
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 50}),
        ..app()
    };
    stage.install(&long).await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    stage.replicas(APP, 4).await;
    stage.set_status(&status).await;
    stage.never("it was touched", 35, is_touched).await;
    stage
}

fn at(time: &str) -> Value {
    json!({"lastTransitionTime": time, "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing",
        "lastTransitionTime": time, "lastUpdateTime": time}]})
}

/// Statuses that the CRD lets an admin write and that make no sense.
fn no_sense() -> [Value; 5] {
    let promoted = json!({"type": "Promoted", "status": "Unknown", "reason": "Progressing"});
    let ages = |time: &str| {
        let mut promoted = promoted.clone();
        promoted["lastUpdateTime"] = time.into();
        promoted["lastTransitionTime"] = time.into();
        promoted
    };
    [
        json!({"phase": "Progressing"}),
        json!({"phase": "Progressing", "conditions": [promoted]}),
        json!({"phase": "Terminated", "conditions": [ages("9999-12-31T23:59:59Z")]}),
        json!({"phase": "Progressing", "conditions": [ages("0001-01-01T00:00:00Z"), ages("9999-12-31T23:59:59Z")],
            "failedChecks": 2.5, "canaryWeight": -1e300, "iterations": 1e300, "lastTransitionTime": "0001-01-01T00:00:00Z"}),
        json!({"phase": "", "conditions": [{"type": "", "status": "", "reason": ""}], "trackedConfigs": {"": ""},
            "lastAppliedSpec": "x".repeat(100_000)}),
    ]
}

/// Canaries without targets, each with one of these.
async fn odd(plane: &Plane) -> Stage {
    let odd = Stage::open(plane, "odd").await;
    for (index, status) in no_sense().into_iter().enumerate() {
        let name = format!("{APP}-{index}");
        let mut canary = App::default().canary();
        canary["metadata"]["name"] = name.as_str().into();
        canary["spec"]["targetRef"]["name"] = name.as_str().into();
        odd.create(&canary).await;
        let patch = Patch::Merge(json!({ "status": status }));
        odd.canaries()
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    odd
}

/// What Curfew asked about the odd ones is little in any minute.
fn asked_little(plane: &Plane, odd: &Stage) {
    let asked = audit::read(&plane.audit_log()).unwrap();
    let mut times: Vec<_> = asked
        .iter()
        .filter(|entry| entry.user == CURFEW && entry.namespace == odd.namespace)
        .map(|entry| entry.at)
        .collect();
    times.sort_unstable();
    let fastest = times
        .windows(A_MINUTE)
        .map(|some| some[A_MINUTE - 1].duration_since(some[0]))
        .min();
    assert!(
        fastest.is_none_or(|fastest| fastest.as_secs() >= 60),
        "{} requests about five odd Canaries, {A_MINUTE} of them within {fastest:?}",
        times.len()
    );
}

#[tokio::test]
async fn canaries_that_come_and_go_and_nonsense_in_their_status_fail_nothing_and_nobody_else() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let curfew = plane.describe().unwrap().pids["curfew"];
    let mut absurd = at("1970-01-01T00:00:00Z");
    absurd["canaryWeight"] = json!(-5);
    absurd["iterations"] = json!(1_000_000_000);
    let others = Stage::open(&plane, "others").await;
    let plain = app();
    let (.., bare, _, _) = tokio::join!(
        recreated(&plane),
        retargeted(&plane),
        others.install(&plain),
        scribbled_over(
            &plane,
            "bare",
            json!({"phase": "Progressing", "conditions": null, "lastTransitionTime": null})
        ),
        scribbled_over(&plane, "future", at("2099-12-31T23:59:59Z")),
        scribbled_over(&plane, "past", absurd),
    );
    // What Flagger cannot even decode, and no type of ours can hold.
    bare.set_status(&json!({
        "phase": "Progressing", "iterations": 1e300, "failedChecks": -1.5, "canaryWeight": 1e20,
        "lastAppliedSpec": "", "conditions": [{"type": "", "status": "", "reason": ""}],
    }))
    .await;
    // Rollouts that run go on; Flagger learns of no new Canary from now on.
    let odd = odd(&plane).await;
    others.push("crash-one").await;
    others.phase("Progressing", 40).await;
    others
        .until("Flagger is handed the verdict", 40, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    others.phase("Failed", 20).await;
    asked_little(&plane, &odd);
    assert!(!bare.ever(is_touched));
    let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert!(plane.runs(Component::Curfew));
    assert_eq!(plane.describe().unwrap().pids["curfew"], curfew, "the same process");
}
