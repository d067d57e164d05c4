//! A rollout that waits for its approval before it begins. Nothing runs yet, and Flagger would undo what is done
//! (`docs/flagger.md#l5`): the wait is told, even under a policy that ends other waits. Approved after hours, the
//! rollout has its whole deadline, and not a second of the wait counts.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::Handle;

use crate::{
    curfew_says::{reported, rolled_back, seconds_between},
    planes,
    receiver::{PASS, REFUSE, Receiver},
    stage::{APP, App, Seen, Stage},
};

const DEADLINE: i64 = 30;

/// A stage with a rollout that waits.
async fn waiting(stage: &Stage, team: &Receiver, labels: Value) {
    team.answer("rollout", REFUSE);
    let gate = json!({"name": "rollout", "type": "confirm-rollout", "url": team.url("rollout")});
    let app = App {
        pods: 4,
        deadline: DEADLINE,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1, "webhooks": [gate]}),
        labels,
        ..App::default()
    };
    let mut canary = app.canary();
    // Much longer than the rollout, much shorter than the wait.
    canary["metadata"]["annotations"] = json!({"curfew.dev/rollout-deadline": "30m"});
    stage.install_with(&app.deployment(), &canary).await;
    stage.push("crash-one").await;
    stage.phase("Waiting", 30).await;
}

async fn set_status(stage: &Stage, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    let canaries = stage.canaries();
    canaries
        .patch_status(APP, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// The start of the phase, by Flagger's own condition.
fn phase_start(seen: &Seen) -> String {
    seen.canary["status"]["conditions"][0]["lastUpdateTime"]
        .as_str()
        .expect("a phase has a start")
        .to_owned()
}

/// What a user does who wants a waiting rollout to end: Flagger goes on waiting.
async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "approval").await;
    let team = Receiver::open().await;
    waiting(&stage, &team, json!({})).await;
    set_status(&stage, json!({"phase": "Failed"})).await;
    stage.phase("Failed", 10).await;
    stage.phase("Waiting", 30).await;
}

#[tokio::test]
async fn a_rollout_approved_after_hours_has_its_whole_deadline() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "approval").await;
        let team = Receiver::open().await;
        waiting(&stage, &team, json!({"plane.curfew.dev/gate": "roll-back"})).await;
        reported(&stage, "gate", 45).await;

        // Five hours pass.
        let waited = stage.now().canary["status"].clone();
        let back = |time: &Value| {
            let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
            let earlier = time - jiff::SignedDuration::from_hours(5);
            json!(earlier.to_string())
        };
        let mut promoted = waited["conditions"][0].clone();
        promoted["lastTransitionTime"] = back(&promoted["lastTransitionTime"]);
        promoted["lastUpdateTime"] = back(&promoted["lastUpdateTime"]);
        let written = back(&waited["lastTransitionTime"]);
        set_status(
            &stage,
            json!({"lastTransitionTime": written, "conditions": [&promoted]}),
        )
        .await;
        stage
            .never("more than words were used", 15, |seen| {
                (seen.phase(), seen.failed_checks()) != ("Waiting", 0)
            })
            .await;

        team.answer("rollout", PASS);
        let approved = stage.phase("Progressing", 30).await;
        assert_eq!(
            approved.canary["status"]["conditions"][0]["lastTransitionTime"], promoted["lastTransitionTime"],
            "to Flagger the rollout began with its wait"
        );
        let began = phase_start(&approved);
        let verdict = rolled_back(&stage, "readiness", 60).await;
        let given = seconds_between(&began, verdict["deadline"].as_str().unwrap());
        assert!((DEADLINE..=DEADLINE + 10).contains(&given), "it was given {given} s");
    });
}
