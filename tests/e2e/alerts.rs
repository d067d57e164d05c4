//! The team's own alerts: a rollback on Curfew's word is told through Flagger's `AlertProvider`, once. Flagger's own
//! deadline tells nobody (`docs/flagger.md#f6`).

use curfew::cluster::clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use testbed::{Handle, audit};

use crate::{
    curfew_says::rolled_back,
    planes,
    receiver::{REFUSE, Receiver},
    stage::{APP, App, Stage},
};

/// Flagger's words for a rollback.
const ROLLED_BACK: &str = "Failed checks threshold reached 3";
/// How many requests a check of Flagger's takes from the read of the Canary to that of its target, at the most
/// (`docs/flagger.md#checks`).
const REQUESTS: usize = 14;
/// A check of Flagger's and something on top, in which it would alert again.
const AGAIN: u64 = 15;

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
            deadline: 35,
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

/// How many requests each check of Flagger's took, from the read of the Canary to the last one of its target, with which
/// looks at a rollout that is not ready end.
fn looks(plane: &Handle, stage: &Stage, from: Timestamp, to: Timestamp) -> Vec<usize> {
    let all = audit::read(&plane.audit_log()).expect("the audit log");
    let is_its = |entry: &&audit::Entry| {
        entry.user == "flagger" && entry.namespace == stage.namespace && (from..to).contains(&entry.at)
    };
    let its: Vec<_> = all.iter().filter(is_its).collect();
    let is_look = |entry: &&audit::Entry| entry.resource == "canaries" && entry.verb == "get";
    let looks = its.chunk_by(|_, next| !is_look(next)).filter(|look| is_look(&look[0]));
    let target = |entry: &&audit::Entry| entry.resource == "deployments" && entry.name == APP;
    looks
        .filter_map(|look| look.iter().rposition(target))
        .map(|last| last + 1)
        .collect()
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "alerts").await;
    let team = Receiver::open().await;
    install(&stage, &team, json!([])).await;
    stage.push("unready").await;
    stage.phase("Progressing", 30).await;
    let begun = clock::now();
    stage.phase("Failed", 75).await;
    let mut looks = looks(plane, &stage, begun, clock::now());
    // The one that rolled back went on with its target.
    looks.pop();
    eprintln!("requests of the looks at a rollout that is not ready: {looks:?}");
    assert!(
        looks.iter().max().is_some_and(|most| (8..=REQUESTS).contains(most)),
        "{looks:?}"
    );
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
            let verdict = rolled_back(&stage, "readiness", 60).await;
            let reason = verdict["reason"].as_str().unwrap();
            assert!(
                reason.starts_with(&format!("1 of 4 pods not ready: {pod} ")),
                "{reason}"
            );
            told_once(&stage, &team).await;
        },
    );
}
