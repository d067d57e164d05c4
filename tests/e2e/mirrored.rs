//! A rollout that mirrors and shifts traffic in steps at once, which the Gateway API's router of Flagger never gets done
//! (`docs/flagger.md#f15`): the pods are ready, Flagger looks, and nothing advances. That is a stall.

use kube::api::{Patch, PatchParams};
use plane::Handle;
use serde_json::{Value, json};

use crate::{
    curfew_says::{reported, rolled_back},
    planes,
    stage::{APP, App, Seen, Stage},
};

async fn mirrored(stage: &Stage, labels: Value) {
    stage
        .install(&App {
            analysis: json!({
                "interval": "10s", "threshold": 3, "mirror": true, "stepWeight": 50, "maxWeight": 50,
            }),
            provider: "gatewayapi:v1",
            labels,
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
}

/// Whether the rollout got anywhere.
fn moved(seen: &Seen) -> bool {
    (seen.phase(), seen.weight()) != ("Progressing", 0)
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "mirrored").await;
    mirrored(&stage, json!({})).await;
    stage.never("Flagger moved on", 75, moved).await;
    assert_eq!(stage.weights().await, (100, 0));
}

async fn told(plane: &Handle) {
    let stage = Stage::open(plane, "mirrored").await;
    mirrored(&stage, json!({"plane.curfew.dev/stall": "report"})).await;
    let verdict = reported(&stage, "stall", 60).await;
    assert_eq!(
        verdict["reason"],
        "the target is ready and Flagger looks at it, but nothing advances"
    );
    stage
        .never("more than words were used", 25, |seen| {
            moved(seen) || seen.failed_checks() > 0
        })
        .await;
    let events = stage.curfews_events().await;
    assert_eq!(events.len(), 1, "told once: {events:?}");
}

#[tokio::test]
async fn a_rollout_that_goes_round_in_circles_is_told_of_and_ended_where_the_policy_says_so() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), told(&plane), async {
        let stage = Stage::open(&plane, "mirrored-end").await;
        mirrored(&stage, json!({"plane.curfew.dev/stall": "roll-back"})).await;
        rolled_back(&stage, "stall", 75).await;
        assert_eq!(stage.weights().await, (100, 0));
        // Mended, it rolls out.
        let patch = Patch::Merge(json!({"spec": {"analysis": {"mirror": false}}}));
        stage
            .canaries()
            .patch(APP, &PatchParams::default(), &patch)
            .await
            .unwrap();
        stage.push("ready").await;
        stage.phase("Succeeded", 120).await;
    });
}
