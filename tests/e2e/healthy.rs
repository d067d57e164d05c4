//! A healthy rollout whose analysis takes longer than its deadline, with a short blip after it: never touched.

use std::time::Duration;

use serde_json::json;

use crate::{
    curfew_says::seconds_between,
    planes,
    stage::{APP, App, Stage},
};

const DEADLINE: i64 = 30;
const BLIP: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_healthy_rollout_is_never_touched() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "healthy").await;
    stage
        .install(&App {
            deadline: DEADLINE,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 4}),
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    let late = stage
        .until("the analysis is at its last iteration", 90, |seen| {
            (seen.iterations() == 4).then(|| seen.clone())
        })
        .await;
    let written = late.canary["status"]["lastTransitionTime"].as_str().unwrap();
    let took = seconds_between(late.stamp("started-at").unwrap(), written);
    assert!(took > DEADLINE, "the analysis takes longer than the deadline: {took} s");
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "unready").await;
    stage.replicas_available(APP, 1).await;
    tokio::time::sleep(BLIP).await;
    stage.turn(&pod, "ready").await;
    stage.replicas_available(APP, 2).await;
    stage.phase("Succeeded", 90).await;
    assert!(
        !stage.ever(|seen| seen.stamp("verdict").is_some()),
        "there was a verdict"
    );
    assert!(!stage.ever(|seen| seen.failed_checks() > 0), "checks failed");
    let events = stage.curfews_events().await;
    let is_of_the_machine = |note: &str| note.contains("kube-controller-manager does not keep up");
    assert!(
        events.iter().all(|(_, note)| is_of_the_machine(note)),
        "Curfew had something to say: {events:?}"
    );
    stage
        .until("nothing is pending any more", 15, |seen| {
            seen.stamp("deadline").is_none().then_some(())
        })
        .await;
}
