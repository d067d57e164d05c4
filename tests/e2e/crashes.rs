//! The incident to the letter (`docs/flagger.md#f1b`): the pods' last container runs for seconds and crashes, every restart
//! makes the pods ready for a moment, and every such moment restarts Flagger's clock. Curfew counts the failed exits.

use serde_json::json;

use crate::{
    planes,
    stage::{APP, App, Stage},
};

async fn crash_loop(stage: &Stage) {
    stage
        .install(&App {
            deadline: 180,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 20}),
            ..App::default()
        })
        .await;
    stage.push("crash-last:4").await;
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
            .contains("the failed exits of one container reached the policy's limit")
    );
    // From the third exit on; until the pods are read there may be more.
    let reason = verdict["reason"].as_str().unwrap();
    let restarts = reason.split(", ").find_map(|part| part.strip_suffix(" restarts"));
    let restarts: Option<u32> = restarts.and_then(|restarts| restarts.parse().ok());
    assert!(restarts >= Some(2), "{reason}");
    stage.replicas(APP, 0).await;
}

#[tokio::test]
async fn the_incident_is_ended_at_the_third_failed_exit() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "crashes").await;
    crash_loop(&stage).await;
    ended_by_crashes(&stage).await;
}

#[tokio::test]
async fn a_crash_looping_version_is_not_promoted() {
    // docs/flagger.md#f4: that Flagger alone promotes it is in the recording f4.jsonl of tests/replay.rs.
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "flapper").await;
    stage
        .install(&App {
            deadline: 120,
            provider: "gatewayapi:v1",
            // Twelve steps.
            analysis: json!({"interval": "10s", "threshold": 3, "stepWeight": 5, "maxWeight": 60}),
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    stage.replicas(APP, 2).await;
    // Its pods came up well, and crash every ten seconds from now on.
    for pod in stage.target_pods().await {
        stage.turn(&pod, "flap:8:2").await;
    }
    ended_by_crashes(&stage).await;
    assert!(!stage.ever(|seen| seen.phase() == "Succeeded"));
    assert_eq!(stage.weights().await, (100, 0));
}
