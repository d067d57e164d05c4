//! The API server is stopped, and later is killed and comes back with all that it kept for watches gone
//! (410 on every one of them): what passed meanwhile is made up for within seconds, once, and what is healthy, or became
//! so meanwhile, is left alone.

use std::time::Duration;

use curfew::cluster::clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use testbed::{Component, Options, Plane};

use crate::{
    curfew_says::{assert_verdict, seconds_between},
    planes,
    stage::{APP, App, Seen, Stage},
};

/// From the moment at which everything works again to the verdict: a leader that had to give up takes up its Lease first, and
/// kubelets have ten seconds.
const MADE_UP_FOR: i64 = 30;

/// Of the rollouts that hang, once the fault is about to begin.
const DEADLINE: i64 = 25;
/// Until then.
const FAR: i64 = 300;

/// How long it stands still, and how long it is gone.
const STOPPED: Duration = Duration::from_secs(30);
const KILLED: Duration = Duration::from_secs(25);

fn app(iterations: i64) -> App {
    App {
        pods: 4,
        deadline: FAR,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": iterations}),
        ..App::default()
    }
}

fn is_touched(seen: &Seen) -> bool {
    let touches = |verdict: Value| verdict["remedy"] == "rollback" && verdict["result"] != "withheld";
    seen.phase() == "Failed" || seen.failed_checks() > 0 || seen.verdict().is_some_and(touches)
}

/// A rollout whose deadline passes during the fault.
async fn hanging(plane: &Plane, story: &str) -> Stage {
    let stage = Stage::open(plane, story).await;
    stage.install(&app(1)).await;
    stage
}

/// Pushes versions that hang, and that get ready in the middle of the fault, and waits until both are on their way.
async fn set_out(hangs: &Stage, slow: &Stage) {
    tokio::join!(hangs.push("crash-one"), slow.push("crash-one"));
    tokio::join!(hangs.phase("Progressing", 30), slow.phase("Progressing", 30));
    // A canary with fewer Flagger fails by itself, by the time at which it last had enough.
    tokio::join!(hangs.replicas_available(APP, 3), slow.replicas_available(APP, 3));
    let unready = slow.unready_pod().await;
    tokio::join!(hangs.set_deadline(DEADLINE), slow.set_deadline(DEADLINE));
    slow.turn(&unready, "ready-after:8").await;
}

async fn is_made_up_for(stage: &Stage, answers: Timestamp) {
    let verdict = stage
        .until("Flagger is handed the verdict", 40, |seen| {
            seen.verdict_with("requested")
                .or_else(|| seen.verdict_with("confirmed"))
        })
        .await;
    let at = |key: &str| verdict[key].as_str().unwrap().to_owned();
    let took = seconds_between(&answers.to_string(), &at("at"));
    eprintln!(
        "{}: the verdict came {took} s after the API server answered again",
        stage.namespace
    );
    assert!(took < MADE_UP_FOR, "after {took} s");
    assert!(seconds_between(&at("deadline"), &at("at")) >= 0);
    stage.phase("Failed", 40).await;
    let verdict = stage
        .until("the rollback is confirmed", 15, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_verdict(&verdict, "rollback", "confirmed");
    stage.event("RollbackConfirmed").await;
    assert_eq!(stage.told("RollbackRequested").await, 1);
}

#[tokio::test]
async fn deadlines_that_pass_while_the_api_server_is_gone_are_made_up_for_and_nothing_else_is_touched() {
    let options = Options {
        api_server_args: [
            // What is older is gone for watches; and every fiftieth request costs its connection.
            "--etcd-compaction-interval=5s",
            "--goaway-chance=0.02",
        ]
        .map(ToOwned::to_owned)
        .into(),
        ..Options::with_curfew()
    };
    let Some(plane) = planes::at_once(options).await else {
        return;
    };
    let (stopped, killed, healthy, slow, slower) = tokio::join!(
        hanging(&plane, "stopped"),
        hanging(&plane, "killed"),
        async {
            let stage = Stage::open(&plane, "healthy").await;
            stage.install(&app(50)).await;
            stage.push("ready").await;
            stage.phase("Progressing", 30).await;
            stage
        },
        hanging(&plane, "slow"),
        hanging(&plane, "slower"),
    );
    set_out(&stopped, &slow).await;
    plane.pause(Component::ApiServer).unwrap();
    tokio::time::sleep(STOPPED).await;
    plane.resume(Component::ApiServer).unwrap();
    let answers = clock::now();
    tokio::join!(
        is_made_up_for(&stopped, answers),
        healthy.never("it was touched", 12, is_touched),
        slow.phase("Promoting", 60),
    );
    assert!(
        !slow.ever(is_touched),
        "it got ready in time, and only nobody heard of it"
    );

    set_out(&killed, &slower).await;
    plane.kill(Component::ApiServer).unwrap();
    tokio::time::sleep(KILLED).await;
    plane.restart(Component::ApiServer).await.unwrap();
    let answers = clock::now();
    tokio::join!(
        is_made_up_for(&killed, answers),
        healthy.never("it was touched", 15, is_touched),
        slower.phase("Promoting", 120),
    );
    assert!(
        !slower.ever(is_touched),
        "it got ready in time, and only nobody heard of it"
    );
    assert!(plane.runs(Component::Curfew));
}
