//! A pod breaks in mid-analysis, with 20 % of the traffic on the canary (`docs/flagger.md#f3`): Flagger alone leaves the
//! traffic there for ever; with Curfew it takes the traffic away.

use serde_json::{Value, json};
use testbed::Handle;

use crate::{
    curfew_says::{assert_prompt, assert_verdict},
    planes,
    stage::{APP, App, Stage},
};

const DEADLINE: i64 = 30;

/// Brings a rollout to 20 % of the traffic and breaks one pod of it. Answers which, and how much traffic there was then: on a
/// busy machine Flagger may have made one more step.
async fn broken_in_mid_analysis(stage: &Stage, labels: Value) -> (String, i64) {
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            labels,
            analysis: json!({"interval": "10s", "threshold": 3, "stepWeight": 20, "maxWeight": 60}),
            provider: "gatewayapi:v1",
        })
        .await;
    assert_eq!(stage.weights().await, (100, 0));
    stage.push("ready").await;
    stage
        .until("20 % of the traffic go to the canary", 60, |seen| {
            (seen.weight() == 20).then_some(())
        })
        .await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "crash").await;
    stage.replicas_available(APP, 3).await;
    let (old, new) = stage.weights().await;
    assert!(old + new == 100 && [20, 40].contains(&new), "{old}/{new}");
    (pod, new)
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "traffic").await;
    let (_, weight) = broken_in_mid_analysis(&stage, json!({})).await;
    stage
        .never("Flagger moved by itself", 50, |seen| {
            seen.phase() != "Progressing" || seen.weight() > weight
        })
        .await;
    assert_eq!(
        stage.weights().await,
        (100 - weight, weight),
        "users still hit the broken pod"
    );
}

#[tokio::test]
async fn traffic_is_taken_from_a_canary_that_breaks_in_mid_analysis() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "traffic").await;
        let without_crashes = json!({"plane.curfew.dev/crashes": "off"});
        let (pod, weight) = broken_in_mid_analysis(&stage, without_crashes).await;
        let furthest = format!("phase=Progressing weight={weight} iterations=0");
        stage
            .until("the furthest progress is stamped", 15, |seen| {
                (seen.stamp("progress") == Some(&furthest)).then_some(())
            })
            .await;
        stage.phase("Failed", 45).await;
        let verdict = stage
            .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
            .await;
        let reason = assert_verdict(&verdict, "rollback", "confirmed");
        assert!(
            reason.starts_with(&format!("1 of 4 pods not ready: {pod} container app: ")),
            "{reason}"
        );
        assert!(!stage.ever(|seen| seen.weight() > weight), "no more traffic than that");
        assert_eq!(stage.weights().await, (100, 0));
        stage.replicas(APP, 0).await;
        stage.event("RollbackConfirmed").await;
        assert_prompt(&verdict);
    });
}
