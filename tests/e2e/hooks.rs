//! Hooks run inside Flagger's check, which may take minutes: Flagger shows no sign of life meanwhile and nothing advances,
//! and nothing is wrong.

use std::time::Duration;

use serde_json::json;
use testbed::Handle;

use crate::{
    curfew_says::{assert_prompt, rolled_back},
    planes,
    receiver::{Answer, PASS, Receiver},
    stage::{App, Stage},
};

/// Longer than ten intervals, after which a rollout without hooks is told to stall, and than the minute after which a
/// Flagger without hooks is told to be silent.
const LONG: Duration = Duration::from_secs(110);
/// Longer than the deadline.
const DURING: Duration = Duration::from_secs(50);
const DEADLINE: i64 = 30;

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
async fn a_hook_of_minutes_is_let_run() {
    let Some(plane) = planes::shared().await else { return };
    let (stage, team) = in_the_hook(&plane, "hook", LONG, "4m").await;
    stage
        .never("something was done during the hook", LONG.as_secs() - 10, |seen| {
            (seen.phase(), seen.weight(), seen.failed_checks()) != ("Progressing", 0, 0) || seen.verdict().is_some()
        })
        .await;
    stage
        .until("the rollout goes on", 30, |seen| (seen.weight() == 20).then_some(()))
        .await;
    assert_eq!(team.calls("tests").len(), 1, "the hook ran the whole time");
    let events = stage.curfews_events().await;
    assert_eq!(events, [], "there is nothing to tell");
}

#[tokio::test]
async fn pods_that_break_during_a_hook_are_judged_by_flagger_when_it_looks_again() {
    let Some(plane) = planes::shared().await else { return };
    let (stage, team) = in_the_hook(&plane, "hook-break", DURING, "55s").await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "unready").await;
    // Nothing but what Flagger reads when it looks again: ended under its hands, the rollout would get traffic after all.
    stage
        .until("Flagger is handed the verdict", 45, |seen| {
            assert_eq!(seen.phase(), "Progressing");
            seen.verdict_with("requested")
        })
        .await;
    assert_eq!(team.calls("tests").len(), 1, "the hook runs the whole time");
    // The target's own verdict waits until the hook must have ended.
    let verdict = rolled_back(&stage, "readiness", 100).await;
    assert_prompt(&verdict);
    assert_eq!(stage.weights().await, (100, 0));
}
