//! The team's own alerts: a rollback on Curfew's word is told through Flagger's `AlertProvider`, once. Flagger's own
//! deadline tells nobody (`docs/flagger.md#f6`).

use plane::Handle;
use serde_json::{Value, json};

use crate::{
    curfew_says::rolled_back,
    planes,
    receiver::{REFUSE, Receiver},
    stage::{App, Stage},
};

/// Flagger's words for a rollback.
const ROLLED_BACK: &str = "Failed checks threshold reached 3";
/// Two looks of Flagger's and something on top, in which it would alert again.
const AGAIN: u64 = 25;

/// Brings an application onto the stage whose team is told everything.
async fn install(stage: &Stage, team: &Receiver, webhooks: Value) {
    stage
        .create(&json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "AlertProvider",
            "metadata": {"name": "team"},
            "spec": {"type": "slack", "channel": "releases", "address": team.url("alerts")},
        }))
        .await;
    stage
        .install(&App {
            pods: 4,
            // Not a multiple of the interval: a look that read the Canary just before the failed checks were raised, and the
            // target just after its verdict, rolls back without an alert.
            deadline: 25,
            analysis: json!({
                "interval": "10s", "threshold": 3, "iterations": 1, "webhooks": webhooks,
                "alerts": [{"name": "team", "severity": "info", "providerRef": {"name": "team"}}],
            }),
            ..App::default()
        })
        .await;
}

/// What the team was told, in this order: the colour says how grave it is.
fn told(team: &Receiver) -> Vec<(String, String)> {
    let calls = team.calls("alerts").into_iter().map(|call| {
        let said = &call.body["attachments"][0];
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        (text("color"), text("text"))
    });
    calls.collect()
}

/// Asserts that the team was told of one failure, the rollback, now and some looks later.
async fn told_once(stage: &Stage, team: &Receiver) {
    stage
        .never("it left Failed", AGAIN, |seen| seen.phase() != "Failed")
        .await;
    let told = told(team);
    let failures: Vec<_> = told.iter().filter(|(color, _)| color == "danger").collect();
    assert_eq!(failures.len(), 1, "{told:?}");
    assert_eq!(failures[0].1, ROLLED_BACK);
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "alerts").await;
    let team = Receiver::open().await;
    install(&stage, &team, json!([])).await;
    stage.push("unready").await;
    stage.phase("Failed", 75).await;
    stage
        .never("it left Failed", AGAIN, |seen| seen.phase() != "Failed")
        .await;
    let told = told(&team);
    assert!(told.len() >= 2, "the team is told of other things: {told:?}");
    assert!(told.iter().all(|(color, _)| color != "danger"), "{told:?}");
}

#[tokio::test]
async fn the_team_is_alerted_once_for_each_rollback() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(
        alone(&plane),
        async {
            let stage = Stage::open(&plane, "alerts").await;
            let team = Receiver::open().await;
            install(&stage, &team, json!([])).await;
            stage.push("crash-one").await;
            stage.phase("Progressing", 30).await;
            rolled_back(&stage, "readiness", 60).await;
            told_once(&stage, &team).await;
            stage.push("ready").await;
            stage.phase("Succeeded", 120).await;
        },
        async {
            let stage = Stage::open(&plane, "alerts-gate").await;
            let team = Receiver::open().await;
            team.answer("promotion", REFUSE);
            let gate = json!({"name": "promotion", "type": "confirm-promotion", "url": team.url("promotion")});
            install(&stage, &team, json!([gate])).await;
            stage.push("ready").await;
            stage.phase("WaitingPromotion", 90).await;
            let pod = stage.target_pods().await.swap_remove(0);
            stage.turn(&pod, "unready").await;
            rolled_back(&stage, "readiness", 60).await;
            told_once(&stage, &team).await;
        },
    );
}
