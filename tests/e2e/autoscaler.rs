//! An autoscaler grows the canary again and again within one long interval. Each time the new pods need their while, and
//! together they are unready for longer than the deadline; but nothing fails, and no rollout is failed for it.

use serde_json::json;

use crate::{
    planes,
    stage::{APP, App, Seen, Stage},
};

const DEADLINE: i64 = 30;
/// How long each pod takes to be ready, in seconds.
const STARTUP: i64 = 11;

fn iterations(seen: &Seen) -> i64 {
    seen.canary["status"]["iterations"].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn a_canary_that_an_autoscaler_grows_is_never_failed() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "grows").await;
    let app = App {
        deadline: DEADLINE,
        analysis: json!({"interval": "40s", "threshold": 3, "iterations": 5}),
        ..App::default()
    };
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": APP});
    let mut canary = app.canary();
    canary["spec"]["autoscalerRef"] = scaler;
    stage
        .create(&json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": APP},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
                "minReplicas": 2,
                "maxReplicas": 8,
            },
        }))
        .await;
    stage.install_with(&app.deployment(), &canary).await;
    stage.push(&format!("ready-after:{STARTUP}")).await;
    stage.phase("Progressing", 60).await;
    stage
        .until("the analysis advanced", 90, |seen| {
            (iterations(seen) == 1).then_some(())
        })
        .await;

    // The plane has no controller that scales, so this is done for it.
    for replicas in [4, 6, 8] {
        stage.change_target(&json!({"replicas": replicas})).await;
        stage.replicas(APP, replicas).await;
    }
    let startups = stage.startups().await;
    assert_eq!(startups.len(), 8);
    // Times are in whole seconds.
    assert!(
        startups.iter().all(|startup| *startup >= STARTUP - 1),
        "ready at once: {startups:?}"
    );
    let advanced = iterations(&stage.now());
    stage
        .until("the analysis advances again", 90, |seen| {
            (iterations(seen) > advanced).then_some(())
        })
        .await;
    assert!(!stage.ever(|seen| seen.phase() == "Failed"));
    assert!(
        !stage.ever(|seen| seen.stamp("verdict").is_some()),
        "there was a verdict"
    );
}
