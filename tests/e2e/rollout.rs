//! A deadline for the whole rollout, set by its owner: pods that are ready the whole time do not exempt it.

use serde_json::json;

use crate::{
    planes,
    stage::{APP, App, Stage},
};

#[tokio::test]
async fn a_rollout_that_takes_longer_than_its_owner_said_is_rolled_back() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "rollout").await;
    let app = App {
        deadline: 60,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 50}),
        // It would be refused: its steps alone take longer.
        labels: json!({"plane.curfew.dev/admission": "audit"}),
        ..App::default()
    };
    let mut canary = app.canary();
    canary["metadata"]["annotations"] = json!({"curfew.dev/rollout-deadline": "25s"});
    stage.create(&app.deployment()).await;
    stage.create(&canary).await;
    stage.phase("Initialized", 90).await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    stage.phase("Failed", 60).await;
    let verdict = stage
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_eq!(
        (&verdict["clock"], &verdict["remedy"]),
        (&json!("rollout"), &json!("rollback"))
    );
    let told = stage.curfews_events().await;
    let announced = told
        .iter()
        .filter(|(reason, _)| reason == "DeadlineApproaching")
        .count();
    assert_eq!(announced, 1, "{told:?}");
    stage.replicas(APP, 0).await;
}
