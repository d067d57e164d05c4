//! Curfew dies and comes back: deadlines do not move, and what passed meanwhile is made up for.

use serde_json::json;
use testbed::{Component, Options};

use crate::{
    curfew_says::{Metrics, assert_verdict, seconds_between},
    planes,
    stage::{App, STAMPED, Seen, Stage},
};

const SHORT: i64 = 30;
const LONG: i64 = 180;

/// How long a Lease lasts whose holder was killed.
const LEASE: u64 = 15;
/// From the leadership to the verdict, in seconds.
const MADE_UP_FOR: i64 = 15;

fn app(deadline: i64) -> App {
    App {
        pods: 4,
        deadline,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1}),
        ..App::default()
    }
}

/// A rollout that hangs, with its first stamp.
async fn hanging(stage: &Stage) -> Seen {
    stage.push("crash-one").await;
    stage.phase("Progressing", 40).await;
    stage
        .until("a deadline is stamped", STAMPED, |seen| {
            (seen.stamp("clock") == Some("readiness")).then(|| seen.clone())
        })
        .await
}

#[tokio::test]
async fn a_deadline_that_passes_while_curfew_is_down_holds() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let (short, long) = tokio::join!(Stage::open(&plane, "short"), Stage::open(&plane, "long"));
    let apps = [SHORT, LONG].map(app);
    tokio::join!(short.install(&apps[0]), long.install(&apps[1]));
    let (stamped, before) = tokio::join!(hanging(&short), hanging(&long));
    plane.kill(Component::Curfew).unwrap();
    let deadline = stamped.stamp("deadline").unwrap().to_owned();
    short
        .eventually("its deadline has passed by five seconds", 60, async || {
            let now = curfew::cluster::clock::now().to_string();
            (seconds_between(&deadline, &now) >= 5).then_some(())
        })
        .await;
    assert_eq!(short.now().phase(), "Progressing", "nobody was there to end it");
    assert_eq!(short.now().verdict(), None);

    plane.restart(Component::Curfew).await.unwrap();
    // It is another one than the one that was killed, whose Lease has to expire first.
    short
        .eventually("it leads", LEASE + 10, async || {
            (Metrics::of(&plane).await.value("curfew_leader") > 0.5).then_some(())
        })
        .await;
    let leads = curfew::cluster::clock::now().to_string();
    let verdict = short
        .until("Flagger is handed the verdict", 15, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    assert_verdict(&verdict, "rollback", "requested");
    let took = seconds_between(&leads, verdict["at"].as_str().unwrap());
    assert!(took < MADE_UP_FOR, "after {took} s");
    assert_eq!(verdict["deadline"], *deadline, "the time that Curfew was away counts");
    short.phase("Failed", 20).await;
    short
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;

    for stamp in [
        "revision",
        "started-at",
        "progressed-at",
        "progress",
        "clock",
        "deadline",
        "unready",
    ] {
        assert_eq!(long.now().stamp(stamp), before.stamp(stamp), "{stamp}");
    }
    assert_eq!(long.now().verdict(), None);
}
