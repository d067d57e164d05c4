//! Curfew dies and comes back: deadlines do not move, and what passed meanwhile is made up for.

use std::time::Duration;

use plane::{Component, Options};
use serde_json::json;

use crate::{
    curfew_says::{Metrics, assert_verdict, seconds_between},
    planes,
    stage::{App, STAMPED, Seen, Stage},
};

const HANDED_OVER: i64 = 10;
const SHORT: i64 = 20;
const LONG: i64 = 180;

/// How long a Lease is waited for whose holder was killed.
const LEASE: u64 = 15;

fn app(deadline: i64, interval: &str) -> App {
    App {
        pods: 4,
        deadline,
        analysis: json!({"interval": interval, "threshold": 3, "iterations": 1}),
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
    let (handed, short, long) = tokio::join!(
        Stage::open(&plane, "handed"),
        Stage::open(&plane, "short"),
        Stage::open(&plane, "long"),
    );
    let apps =
        [(HANDED_OVER, "45s"), (SHORT, "10s"), (LONG, "10s")].map(|(deadline, interval)| app(deadline, interval));
    tokio::join!(
        handed.install(&apps[0]),
        short.install(&apps[1]),
        long.install(&apps[2])
    );
    handed.push("crash-one").await;
    handed.phase("Progressing", 40).await;
    handed
        .until("Flagger is handed the verdict", 20, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    let (stamped, before) = tokio::join!(hanging(&short), hanging(&long));
    assert_eq!(handed.now().phase(), "Progressing", "Flagger has not looked yet");
    plane.kill(Component::Curfew).unwrap();
    let deadline = stamped.stamp("deadline").unwrap().to_owned();
    short
        .eventually("its deadline has passed by five seconds", 60, async || {
            let now = curfew::enforcer::clock::now().to_string();
            (seconds_between(&deadline, &now) >= 5).then_some(())
        })
        .await;
    assert_eq!(short.now().phase(), "Progressing", "nobody was there to end it");
    assert_eq!(short.now().verdict(), None);
    handed.phase("Failed", 30).await;

    plane.restart(Component::Curfew).await.unwrap();
    // It is another one than the one that was killed, whose Lease has to expire first.
    short
        .eventually("it leads", LEASE + 10, async || {
            (Metrics::of(&plane).await.value("curfew_leader") > 0.5).then_some(())
        })
        .await;
    let ready = std::time::Instant::now();
    let verdict = short
        .until("Flagger is handed the verdict", 10, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    assert_verdict(&verdict, "rollback", "requested");
    assert!(ready.elapsed() < Duration::from_secs(15), "after {:?}", ready.elapsed());
    assert_eq!(verdict["deadline"], *deadline, "the time that Curfew was away counts");
    short.phase("Failed", 20).await;
    short
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;

    // What Flagger did with the verdict meanwhile is noticed.
    let verdict = handed
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_verdict(&verdict, "rollback", "confirmed");

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
