//! Hooks run inside Flagger's look, which may take minutes: Flagger shows no sign of life meanwhile and nothing advances,
//! and nothing is wrong.

use std::time::Duration;

use plane::Handle;
use serde_json::json;

use crate::{
    curfew_says::{assert_prompt, rolled_back},
    planes,
    receiver::{Answer, PASS, Receiver},
    stage::{App, Stage},
};

/// How long the hook takes, which is longer than the deadline.
const DURING: Duration = Duration::from_secs(35);
const DEADLINE: i64 = 20;

/// Begins a rollout and waits until Flagger runs its pre-rollout hook.
async fn in_the_hook(plane: &Handle, story: &str, takes: Duration, timeout: &str) -> (Stage, Receiver) {
    let stage = Stage::open(plane, story).await;
    let team = Receiver::open().await;
    team.answer("tests", Answer { after: takes, ..PASS });
    let hook = json!({"name": "tests", "type": "pre-rollout", "url": team.url("tests"), "timeout": timeout});
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            analysis: json!({
                "interval": "10s", "threshold": 3, "stepWeight": 20, "maxWeight": 60, "webhooks": [hook],
            }),
            provider: "gatewayapi:v1",
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    team.called(&stage, "tests", 30).await;
    (stage, team)
}

#[tokio::test]
async fn pods_that_break_during_a_hook_are_judged_by_flagger_when_it_looks_again() {
    let Some(plane) = planes::shared().await else { return };
    let (stage, team) = in_the_hook(&plane, "hook-break", DURING, "40s").await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "unready").await;
    // Nothing but what Flagger reads when it looks again: ended under its hands, the rollout would get traffic after all.
    stage
        .until("Flagger is handed the verdict", 35, |seen| {
            assert_eq!(seen.phase(), "Progressing");
            seen.verdict_with("requested")
        })
        .await;
    assert_eq!(team.calls("tests").len(), 1, "the hook runs the whole time");
    let told: Vec<_> = stage
        .curfews_events()
        .await
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert!(
        told.iter()
            .all(|reason| ["DeadlineApproaching", "DeadlineExceeded", "RollbackRequested"].contains(&reason.as_str())),
        "a Flagger that runs a hook is neither silent nor stalled: {told:?}"
    );
    // The target's own verdict waits until the hook must have ended.
    let verdict = rolled_back(&stage, "readiness", 100).await;
    assert_prompt(&verdict);
    assert_eq!(stage.weights().await, (100, 0));
}
