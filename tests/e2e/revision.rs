//! A new revision pushed in mid-rollout gets the whole deadline for itself; the rollout goes on.
//!
//! One pod of four is broken here: with all of them Flagger's own clock would run, and not start anew
//! (`docs/flagger.md#f6`).

use crate::{
    curfew_says::{assert_prompt, assert_verdict, seconds_between},
    planes,
    stage::{App, STAMPED, Seen, Stage},
};

const DEADLINE: i64 = 30;

/// Starts a rollout that never gets ready, and pushes another revision before its deadline.
async fn pushed_in_mid_rollout(stage: &Stage) -> (Seen, Seen) {
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    let first = stage
        .until("the first revision is stamped", STAMPED, |seen| {
            (seen.stamp("clock") == Some("readiness")).then(|| seen.clone())
        })
        .await;
    stage.push("crash-one").await;
    let second = stage
        .until("the second revision is stamped", 25, |seen| {
            (seen.stamp("revision") != first.stamp("revision")).then(|| seen.clone())
        })
        .await;
    assert_eq!(
        second.stamp("started-at"),
        first.stamp("started-at"),
        "the rollout goes on"
    );
    let anew = seconds_between(
        first.stamp("progressed-at").unwrap(),
        second.stamp("progressed-at").unwrap(),
    );
    assert!(anew > 0, "its clock starts anew");
    (first, second)
}

#[tokio::test]
async fn a_bad_revision_pushed_in_mid_rollout_has_the_whole_deadline() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "worsened").await;
    let (first, second) = pushed_in_mid_rollout(&stage).await;
    stage.phase("Failed", 60).await;
    let verdict = stage
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    let reason = assert_verdict(&verdict, "rollback", "confirmed");
    assert!(reason.contains(" pods not ready: "), "{reason}");
    assert_eq!(verdict["revision"].as_str(), second.stamp("revision"));
    let deadline = verdict["deadline"].as_str().unwrap();
    assert!(seconds_between(first.stamp("deadline").unwrap(), deadline) > 0);
    let had = seconds_between(second.stamp("progressed-at").unwrap(), deadline);
    assert!((DEADLINE..=DEADLINE + 10).contains(&had), "it had {had} s");
    assert_prompt(&verdict);
}
