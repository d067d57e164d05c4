//! A deadline raised after the breach takes the verdict back, with both levers, on a target that nothing else changes. (That a
//! deadline raised in time moves the breach is in `core/tests/scenarios/readiness.rs` and `tests/faults/mass_breach.rs`.)

use k8s_openapi::api::apps::v1::DeploymentCondition;
use serde_json::json;

use crate::{
    curfew_says::assert_verdict,
    planes,
    stage::{APP, App, Stage},
};

#[tokio::test]
async fn a_deadline_raised_after_the_breach_takes_the_verdict_back() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "forgiven").await;
    stage
        .install(&App {
            pods: 4,
            deadline: 300,
            // Flagger looks when the rollout begins, and then not for a while.
            analysis: json!({"interval": "45s", "threshold": 3, "iterations": 1}),
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 60).await;
    stage.replicas_available(APP, 3).await;
    let found = progressing(&stage).await;
    stage.set_deadline(10).await;
    stage
        .until("Flagger is handed the verdict", 25, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    // With as many Canaries as there are here, some seconds after the failed checks.
    let exceeded = stage
        .eventually("the target's deadline is exceeded", 15, async || {
            Some(progressing(&stage).await).filter(|it| it.reason.as_deref() == Some("ProgressDeadlineExceeded"))
        })
        .await;
    assert!(exceeded.message.unwrap().starts_with("Curfew: 1 of 4 pods not ready"));
    stage
        .until("the checks have failed", 5, |seen| {
            (seen.failed_checks() == 3).then_some(())
        })
        .await;

    stage.set_deadline(600).await;
    let verdict = stage
        .until("the verdict is taken back", 10, |seen| seen.verdict_with("withheld"))
        .await;
    assert_verdict(&verdict, "rollback", "withheld");
    assert_eq!(stage.now().failed_checks(), 0, "the count is put back");
    let back = progressing(&stage).await;
    assert_eq!(
        (back.status, back.reason, back.message),
        (found.status, found.reason, found.message),
        "the condition is put back"
    );
    assert_eq!(stage.now().phase(), "Progressing");
    stage.event("ActionWithheld").await;
    stage
        .never("it was rolled back for all that", 50, |seen| {
            seen.phase() != "Progressing"
        })
        .await;
}

/// The target's `Progressing` condition.
async fn progressing(stage: &Stage) -> DeploymentCondition {
    let target = stage.deployments().get(APP).await.unwrap();
    let conditions = target.status.and_then(|status| status.conditions).unwrap_or_default();
    conditions
        .into_iter()
        .find(|condition| condition.type_ == "Progressing")
        .expect("a Progressing condition")
}
