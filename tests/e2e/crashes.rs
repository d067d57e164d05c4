//! The incident to the letter (`docs/flagger.md#f1b`): the pods' last container runs for seconds and crashes, every restart
//! makes the pods ready for a moment, and every such moment restarts Flagger's clock. Curfew counts the failed exits.

use plane::Handle;
use serde_json::json;

use crate::{
    planes,
    stage::{APP, App, Stage},
};

async fn crash_loop(stage: &Stage, deadline: i64, outcome: &str, iterations: i64) {
    stage
        .install(&App {
            deadline,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": iterations}),
            ..App::default()
        })
        .await;
    stage.push(outcome).await;
    stage.phase("Progressing", 30).await;
}

/// Asserts that the crash clock ended the rollout, with the container named.
async fn ended_by_crashes(stage: &Stage) {
    stage.phase("Failed", 60).await;
    let verdict = stage
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_eq!(
        (&verdict["clock"], &verdict["remedy"]),
        (&json!("crashes"), &json!("rollback")),
        "{verdict}"
    );
    assert!(
        verdict["reason"].as_str().unwrap().contains("container app: "),
        "{verdict}"
    );
    assert!(
        stage
            .event("CrashLimitExceeded")
            .await
            .contains("a container failed too often")
    );
    stage.replicas(APP, 0).await;
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "crashes").await;
    crash_loop(&stage, 180, "crash-last:4", 20).await;
    stage
        .never("Flagger ended it by itself", 60, |seen| seen.phase() != "Progressing")
        .await;
}

#[tokio::test]
async fn the_incident_is_ended_within_its_first_minute() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(
        alone(&plane),
        async {
            let stage = Stage::open(&plane, "crashes").await;
            crash_loop(&stage, 180, "crash-last:4", 20).await;
            ended_by_crashes(&stage).await;
        },
        // The default deadline, which Flagger's own clock would never reach.
        async {
            let stage = Stage::open(&plane, "crashes").await;
            crash_loop(&stage, 600, "crash-last:4", 20).await;
            ended_by_crashes(&stage).await;
        },
    );
}

#[tokio::test]
async fn a_crash_looping_version_is_not_promoted() {
    // docs/flagger.md#f4
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "flapper").await;
    crash_loop(&stage, 120, "flap:20:8", 12).await;
    stage.phase("Failed", 130).await;
    assert!(!stage.ever(|seen| seen.phase() == "Succeeded"));
}
