//! A promotion whose primary never gets ready: the canary was ready enough by its threshold, and the primary is not by its
//! own. After promotion began a rollback would be an outage (`docs/flagger.md#l8`), so it is told and left alone.

use serde_json::json;

use crate::{
    curfew_says::{only_reported, reported},
    planes,
    stage::{APP, App, Stage},
};

#[tokio::test]
async fn a_promotion_that_hangs_is_told_of_and_left_alone() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "promotion").await;
    stage
        .install(&App {
            pods: 4,
            deadline: 30,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1, "canaryReadyThreshold": 50}),
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Promoting", 90).await;
    // Twice the deadline.
    let verdict = reported(&stage, "promotion", 90).await;
    assert_eq!(verdict["reason"], "3 of 4 pods of the primary are available");
    stage
        .never("something was done to a promotion", 15, |seen| {
            (seen.phase(), seen.failed_checks()) != ("Promoting", 0)
        })
        .await;
    for deployment in [APP, "web-primary"] {
        let conditions = stage
            .deployments()
            .get(deployment)
            .await
            .unwrap()
            .status
            .unwrap()
            .conditions;
        for condition in conditions.unwrap_or_default() {
            let exceeded = condition.reason.as_deref() == Some("ProgressDeadlineExceeded");
            assert!(!exceeded, "{deployment}: {condition:?}");
        }
    }
    only_reported(&stage, &[]).await;
}
