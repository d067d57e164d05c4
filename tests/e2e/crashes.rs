//! The incident to the letter (`docs/flagger.md#f1b`): the pods' last container runs for seconds and crashes, every restart
//! makes the pods ready for a moment, and every such moment restarts Flagger's clock. Curfew counts the failed exits.

use std::time::Duration;

use plane::Handle;
use serde_json::json;

use crate::{
    curfew_says::{assert_verdict, seconds_between},
    planes,
    stage::{APP, App, Stage},
};

async fn crash_loop(stage: &Stage, deadline: i64) {
    stage
        .install(&App {
            deadline,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 20}),
            ..App::default()
        })
        .await;
    stage.push("crash-last:4").await;
    stage.phase("Progressing", 30).await;
}

/// Asserts that the crash clock ended the rollout, with the container named.
async fn ended_by_crashes(stage: &Stage) {
    let begun = stage.now().at;
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
    let handed_over = stage.first_verdict_with("requested").saturating_duration_since(begun);
    assert!(
        handed_over < Duration::from_mins(1),
        "handed over after {handed_over:?}"
    );
    stage.replicas(APP, 0).await;
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "crashes").await;
    crash_loop(&stage, 180).await;
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
            crash_loop(&stage, 180).await;
            ended_by_crashes(&stage).await;
        },
        // The default deadline, which Flagger's own clock would never reach.
        async {
            let stage = Stage::open(&plane, "crashes").await;
            crash_loop(&stage, 600).await;
            ended_by_crashes(&stage).await;
        },
    );
}

#[tokio::test]
async fn the_incident_is_ended_by_its_deadline_where_crashes_are_not_counted() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "uncounted").await;
    stage
        .install(&App {
            deadline: 60,
            labels: json!({"plane.curfew.dev/crashes": "off"}),
            // Flagger looks while the pods are down: no iteration is made on them, which would be progress.
            analysis: json!({"interval": "12s", "threshold": 3, "iterations": 20}),
            ..App::default()
        })
        .await;
    stage.push("crash-last:4").await;
    stage.phase("Progressing", 30).await;
    let verdict = stage.rolled_back(180).await;
    let reason = assert_verdict(&verdict, "rollback", "confirmed");
    assert!(reason.starts_with("2 of 2 pods not ready: web-"), "{reason}");
    assert!(
        reason.contains(" and 1 more container app: CrashLoopBackOff, exit code 1, "),
        "{reason}"
    );
    // Each restart made the pods ready for a moment, and paid a quarter of that back.
    let since = stage.now().stamp("progressed-at").unwrap().to_owned();
    let judged = seconds_between(&since, verdict["deadline"].as_str().unwrap());
    assert!((61..=120).contains(&judged), "judged after {judged} s");
    stage.replicas(APP, 0).await;
}

/// A version whose pods come up well, and crash every ten seconds from then on, each time between two looks of Flagger.
async fn crashing_between_the_looks(stage: &Stage) {
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
    let progressing = stage.phase("Progressing", 30).await;
    stage.replicas(APP, 2).await;
    tokio::time::sleep_until((progressing.at + Duration::from_secs(3)).into()).await;
    for pod in stage.target_pods().await {
        stage.turn(&pod, "flap:8:2").await;
    }
}

#[tokio::test]
async fn a_crash_looping_version_is_not_promoted() {
    // docs/flagger.md#f4
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(
        async {
            let stage = Stage::alone(&plane, "flapper").await;
            crashing_between_the_looks(&stage).await;
            stage.phase("Succeeded", 300).await;
        },
        async {
            let stage = Stage::open(&plane, "flapper").await;
            crashing_between_the_looks(&stage).await;
            ended_by_crashes(&stage).await;
            assert!(!stage.ever(|seen| seen.phase() == "Succeeded"));
            assert_eq!(stage.weights().await, (100, 0));
        },
        // Wherever Flagger's looks fall.
        async {
            let stage = Stage::open(&plane, "flapper").await;
            stage
                .install(&App {
                    deadline: 120,
                    analysis: json!({"interval": "10s", "threshold": 3, "iterations": 12}),
                    ..App::default()
                })
                .await;
            stage.push("flap:20:8").await;
            stage.phase("Failed", 130).await;
            assert!(!stage.ever(|seen| seen.phase() == "Succeeded"));
        },
    );
}
