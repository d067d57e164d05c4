//! A pod breaks while the promotion waits for its approval (`docs/flagger.md#f12`): Flagger alone waits for the pod past
//! the deadline, and does not even see that the gate was opened; with Curfew it rolls back.

use plane::Handle;
use serde_json::json;

use crate::{
    curfew_says::rolled_back,
    planes,
    receiver::{PASS, REFUSE, Receiver},
    stage::{App, Stage},
};

const DEADLINE: i64 = 20;

/// Brings a rollout before a closed gate and breaks one pod of it. Answers which.
async fn broken_before_the_gate(stage: &Stage, team: &Receiver) -> String {
    team.answer("promotion", REFUSE);
    let gate = json!({"name": "promotion", "type": "confirm-promotion", "url": team.url("promotion")});
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1, "webhooks": [gate]}),
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("WaitingPromotion", 90).await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "unready").await;
    pod
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "before-gate").await;
    let team = Receiver::open().await;
    broken_before_the_gate(&stage, &team).await;
    let left = "Flagger moved by itself";
    stage.never(left, 35, |seen| seen.phase() != "WaitingPromotion").await;
    team.answer("promotion", PASS);
    let asked = team.calls("promotion").len();
    stage.never(left, 25, |seen| seen.phase() != "WaitingPromotion").await;
    assert_eq!(
        team.calls("promotion").len(),
        asked,
        "Flagger does not come as far as the gate"
    );
}

#[tokio::test]
async fn a_pod_that_breaks_before_the_promotion_is_approved_ends_the_rollout() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "before-gate").await;
        let team = Receiver::open().await;
        let pod = broken_before_the_gate(&stage, &team).await;
        let verdict = rolled_back(&stage, "readiness", 45).await;
        let reason = verdict["reason"].as_str().unwrap();
        assert!(
            reason.starts_with(&format!("1 of 4 pods not ready: {pod} ")),
            "{reason}"
        );
        team.answer("promotion", PASS);
        stage.push("ready").await;
        stage.phase("Succeeded", 120).await;
    });
}
