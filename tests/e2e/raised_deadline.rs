//! A deadline raised in mid-rollout holds from then on, counted from the rollout's own start.

use k8s_openapi::api::apps::v1::DeploymentCondition;
use serde_json::json;

use crate::{
    curfew_says::{Metrics, assert_verdict, seconds_between},
    planes,
    stage::{APP, App, STAMPED, Seen, Stage},
};

#[tokio::test]
async fn a_deadline_raised_in_time_moves_the_breach() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "raised").await;
    stage
        .install(&App {
            pods: 4,
            deadline: 20,
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    let old = stage
        .until("a deadline is stamped", STAMPED, |seen| {
            let deadline = seen
                .stamp("deadline")
                .filter(|_| seen.stamp("clock") == Some("readiness"));
            deadline.map(str::to_owned)
        })
        .await;
    stage.set_deadline(45).await;
    let new = stage
        .until("the new deadline is stamped", 15, |seen| {
            seen.stamp("deadline")
                .filter(|deadline| *deadline != old)
                .map(str::to_owned)
        })
        .await;
    let moved = seconds_between(&old, &new);
    assert!((24..=26).contains(&moved), "the deadline moved by {moved} s");
    stage.event("DeadlineChanged").await;
    let verdict = stage.until("there is a verdict", 60, Seen::verdict).await;
    assert_verdict(&verdict, "rollback", "requested");
    let apart = seconds_between(verdict["deadline"].as_str().unwrap(), &new);
    assert!((0..=1).contains(&apart), "judged by {verdict}, not by {new}");
    stage.phase("Failed", 25).await;
    Metrics::of(&plane).await.assert_prompt();
}

#[tokio::test]
async fn a_deadline_raised_after_the_breach_takes_the_verdict_back() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "forgiven").await;
    stage
        .install(&App {
            pods: 4,
            deadline: 10,
            // Flagger looks when the rollout begins, and then not for a while.
            analysis: json!({"interval": "45s", "threshold": 3, "iterations": 1}),
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 60).await;
    stage.replicas_available(APP, 3).await;
    let found = progressing(&stage).await;
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
        .never("it was rolled back for all that", 55, |seen| {
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
