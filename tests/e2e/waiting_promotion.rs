//! A pod breaks while the promotion waits for its approval (`docs/flagger.md#f12`): Flagger alone waits for the pod past
//! the deadline, and does not even see that the gate was opened. With Curfew it rolls back: `alerts` shows that.

use serde_json::json;

use crate::{
    planes,
    receiver::{PASS, REFUSE, Receiver},
    stage::{App, Stage},
};

const DEADLINE: i64 = 30;

/// Brings a rollout before a closed gate and breaks one pod of it.
async fn broken_before_the_gate(stage: &Stage, team: &Receiver) {
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
}

#[tokio::test]
async fn a_pod_that_breaks_before_the_promotion_is_approved_holds_flagger_for_ever() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::alone(&plane, "before-gate").await;
    let team = Receiver::open().await;
    broken_before_the_gate(&stage, &team).await;
    let left = "Flagger moved by itself";
    stage.never(left, 35, |seen| seen.phase() != "WaitingPromotion").await;
    team.answer("promotion", PASS);
    let asked = team.calls("promotion").len();
    stage.never(left, 15, |seen| seen.phase() != "WaitingPromotion").await;
    assert_eq!(
        team.calls("promotion").len(),
        asked,
        "Flagger does not come as far as the gate"
    );
}
