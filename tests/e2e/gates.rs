//! Gates: hooks by which a team holds a rollout until somebody approves. A policy may say how long; then it is told, or the
//! rollout is ended where Flagger can end it. A rollout behind a gate is neither stalled nor is Flagger silent.

use serde_json::json;
use testbed::Handle;

use crate::{
    curfew_says::{only_reported, reported, rolled_back},
    planes,
    receiver::{PASS, REFUSE, Receiver},
    stage::{App, Seen, Stage},
};

/// A stage whose rollouts a team holds with a hook of this type, which is closed.
async fn gated(plane: &Handle, story: &str, kind: &str, policy: &str) -> (Stage, Receiver) {
    let stage = Stage::open(plane, story).await;
    let team = Receiver::open().await;
    team.answer("gate", REFUSE);
    stage.install(&app(&team, kind, policy)).await;
    stage.push("ready").await;
    (stage, team)
}

fn app(team: &Receiver, kind: &str, policy: &str) -> App {
    let mut analysis = json!({
        "interval": "10s", "threshold": 3,
        "webhooks": [{"name": "gate", "type": kind, "url": team.url("gate")}],
    });
    let mut app = App {
        labels: json!({"plane.curfew.dev/gate": policy}),
        ..App::default()
    };
    if kind == "confirm-traffic-increase" {
        app.provider = "gatewayapi:v1";
        analysis["stepWeight"] = 50.into();
        analysis["maxWeight"] = 50.into();
    } else {
        analysis["iterations"] = 1.into();
    }
    app.analysis = analysis;
    app
}

/// It is told once that the approval is waited for, nothing else is told, and nothing is done.
async fn told_and_left(stage: &Stage, phase: &str) {
    let verdict = reported(stage, "gate", 60).await;
    assert_eq!(verdict["reason"], "an approval is waited for");
    stage
        .never("more than words were used", 15, |seen| {
            (seen.phase(), seen.failed_checks(), seen.weight()) != (phase, 0, 0)
        })
        .await;
    only_reported(stage, &[]).await;
}

/// Opens the gate and waits until the rollout goes on.
async fn open(stage: &Stage, team: &Receiver) {
    team.answer("gate", PASS);
    stage
        .until("it goes on", 60, |seen| {
            (seen.phase() == "Promoting" || seen.weight() > 0).then_some(())
        })
        .await;
}

/// Waits until the rollout was ended for want of an approval.
async fn ended_at_the_gate(stage: &Stage) {
    rolled_back(stage, "gate", 75).await;
    assert!(!stage.ever(|seen| told_of_another_clock(seen, "gate")));
}

fn told_of_another_clock(seen: &Seen, clock: &str) -> bool {
    seen.verdict().is_some_and(|verdict| verdict["clock"] != clock)
}

#[tokio::test]
async fn a_promotion_that_nobody_approves_is_told_of_or_ended() {
    let Some(plane) = planes::shared().await else { return };
    let kind = "confirm-promotion";
    tokio::join!(
        async {
            let (stage, team) = gated(&plane, "gate-promotion", kind, "report").await;
            stage.phase("WaitingPromotion", 90).await;
            told_and_left(&stage, "WaitingPromotion").await;
            open(&stage, &team).await;
        },
        async {
            let (stage, _team) = gated(&plane, "gate-promotion-end", kind, "roll-back").await;
            stage.phase("WaitingPromotion", 90).await;
            ended_at_the_gate(&stage).await;
        },
    );
}

#[tokio::test]
async fn traffic_that_nobody_approves_is_told_of_or_taken_back() {
    let Some(plane) = planes::shared().await else { return };
    let kind = "confirm-traffic-increase";
    tokio::join!(
        async {
            let (stage, team) = gated(&plane, "gate-traffic", kind, "report").await;
            stage.phase("Progressing", 30).await;
            told_and_left(&stage, "Progressing").await;
            open(&stage, &team).await;
            assert_eq!(stage.now().weight(), 50);
            stage.phase("Succeeded", 120).await;
            assert_eq!(stage.weights().await, (100, 0));
        },
        async {
            let (stage, _team) = gated(&plane, "gate-traffic-end", kind, "roll-back").await;
            stage.phase("Progressing", 30).await;
            ended_at_the_gate(&stage).await;
        },
    );
}
