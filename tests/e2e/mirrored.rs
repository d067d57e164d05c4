//! A rollout that mirrors and shifts traffic in steps at once, which the Gateway API's router of Flagger never gets done
//! (`docs/flagger.md#f15`): the pods are ready, Flagger looks, and nothing advances. That is a stall.

use serde_json::{Value, json};
use testbed::Handle;

use crate::{
    curfew_says::rolled_back,
    planes,
    stage::{App, Seen, Stage},
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
    stage.never("Flagger moved on", 45, moved).await;
    assert_eq!(stage.weights().await, (100, 0));
}

#[tokio::test]
async fn a_rollout_that_goes_round_in_circles_is_ended_where_the_policy_says_so() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "mirrored-end").await;
        mirrored(&stage, json!({"plane.curfew.dev/stall": "roll-back"})).await;
        rolled_back(&stage, "stall", 75).await;
        assert_eq!(stage.weights().await, (100, 0));
    });
}
