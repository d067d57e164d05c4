//! Specs that the CRD accepts and with which nothing ever gets done (`docs/flagger.md#f18`), seen with Flagger alone: what
//! Curfew refuses in every other namespace.

use serde_json::{Value, json};
use testbed::Handle;

use crate::{
    kubectl::Kubectl,
    planes,
    stage::{App, Seen, Stage},
};

/// So long nothing happens where Flagger looks every ten seconds.
const A_WHILE: u64 = 25;

/// A rollout with this analysis, as far as it gets.
async fn rollout(plane: &Handle, story: &str, analysis: Value) -> Stage {
    let stage = Stage::alone(plane, story).await;
    stage
        .install(&App {
            analysis,
            provider: "gatewayapi:v1",
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    stage
}

async fn stands_still(plane: &Handle, story: &str, analysis: Value, weight: i64) {
    let stage = rollout(plane, story, analysis).await;
    stage
        .until("it got that far", 60, |seen| (seen.weight() == weight).then_some(()))
        .await;
    let moved = |seen: &Seen| (seen.phase(), seen.weight()) != ("Progressing", weight);
    stage.never("Flagger moved on", A_WHILE, moved).await;
}

async fn promotes_without_end(plane: &Handle) {
    let analysis =
        json!({"interval": "10s", "threshold": 3, "stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": -1});
    let stage = rollout(plane, "odd-promotion", analysis).await;
    stage.phase("Promoting", 90).await;
    // The primary should get the traffic, and the canary gets more of it with every check.
    stage
        .until("the canary has more than at first", 60, |seen| {
            (seen.phase() == "Promoting" && seen.weight() > 51).then_some(())
        })
        .await;
}

async fn is_never_initialized(plane: &Handle) {
    let stage = Stage::alone(plane, "odd-service").await;
    let app = App::default();
    let mut canary = app.canary();
    canary["spec"].as_object_mut().unwrap().remove("service");
    stage.create(&app.deployment()).await;
    stage.create(&canary).await;
    stage.phase("Initializing", 30).await;
    stage
        .never("it was initialized", A_WHILE, |seen| seen.phase() != "Initializing")
        .await;
}

async fn has_one_way_to_move(plane: &Handle) {
    let kubectl = Kubectl {
        plane,
        user: "admin",
        namespace: "default",
    };
    let mut canary = App::default().canary();
    canary["spec"]["analysis"] = json!({"interval": "10s", "threshold": 3, "stepWeight": 10, "stepWeights": [10, 20]});
    let refused = kubectl.apply(&canary, &["--dry-run=server"]).await.refused();
    assert!(refused.contains("must validate one and only one schema"), "{refused}");
}

#[tokio::test]
async fn specs_that_the_crd_accepts_and_that_never_get_done() {
    let Some(plane) = planes::shared().await else { return };
    let steps = |steps: Value| json!({"interval": "10s", "threshold": 3, "stepWeights": steps});
    let threshold = json!({"interval": "10s", "threshold": 3, "iterations": 1, "canaryReadyThreshold": 150});
    tokio::join!(
        stands_still(&plane, "odd-zero", steps(json!([0])), 0),
        stands_still(&plane, "odd-falling", steps(json!([50, 20])), 50),
        stands_still(&plane, "odd-threshold", threshold, 0),
        promotes_without_end(&plane),
        is_never_initialized(&plane),
        has_one_way_to_move(&plane),
    );
}
