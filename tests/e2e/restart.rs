//! Curfew dies and comes back: deadlines do not move, and what passed meanwhile is made up for.

use std::time::Duration;

use plane::{Component, Options};

use crate::{
    curfew_says::{assert_verdict, seconds_between},
    planes,
    stage::{App, Seen, Stage},
};

const SHORT: i64 = 20;
const LONG: i64 = 120;

/// A rollout that hangs, with its first stamp.
async fn hanging(stage: &Stage, deadline: i64) -> Seen {
    stage
        .install(&App {
            pods: 4,
            deadline,
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("a deadline is stamped", 10, |seen| seen.stamp("deadline").is_some().then(|| seen.clone()))
        .await
}

#[tokio::test]
async fn a_deadline_that_passes_while_curfew_is_down_holds() {
    let Some(plane) = planes::own(Options::with_curfew()).await else { return };
    let (short, long) = tokio::join!(Stage::open(&plane, "short"), Stage::open(&plane, "long"));
    let (stamped, before) = tokio::join!(hanging(&short, SHORT), hanging(&long, LONG));
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

    plane.restart(Component::Curfew).await.unwrap();
    let ready = std::time::Instant::now();
    let verdict = short
        .until("Flagger is handed the verdict", 10, |seen| seen.verdict_with("requested"))
        .await;
    assert_verdict(&verdict, "rollback", "requested");
    assert!(ready.elapsed() < Duration::from_secs(3), "after {:?}", ready.elapsed());
    assert_eq!(verdict["deadline"], *deadline, "the time that Curfew was away counts");
    short.phase("Failed", 20).await;
    short
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;

    for stamp in ["revision", "started-at", "progressed-at", "progress", "clock", "deadline", "unready"] {
        assert_eq!(long.now().stamp(stamp), before.stamp(stamp), "{stamp}");
    }
    assert_eq!(long.now().verdict(), None);
}
