//! A target that its owner has paused (`docs/flagger.md#f17`): Flagger waits for it, and that is nobody's failure. Curfew
//! counts no time and reports once that nothing moves, until the owner lets it go on: then the deadline applies as to any
//! other.

use serde_json::json;
use testbed::OUTCOME;

use crate::{
    curfew_says::{assert_verdict, seconds_between},
    planes,
    stage::{APP, App, STAMPED, Seen, Stage},
};

const DEADLINE: i64 = 30;

/// What is said when it has stood still for so long.
const REPORTED: &str = "the standstill deadline of 30 s has passed: ";

/// Pushes a version to a target that is paused, and watches it stand still for longer than its deadline.
async fn paused_beyond_the_deadline(stage: &Stage, outcome: &str) {
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            ..App::default()
        })
        .await;
    let image = format!("app:{:08x}", fastrand::u32(..));
    let template = json!({
        "metadata": {"annotations": {OUTCOME: outcome}},
        "spec": {"containers": [{"name": "log", "image": "log:1"}, {"name": "app", "image": image}]},
    });
    stage
        .change_target(&json!({"paused": true, "template": template}))
        .await;
    stage.phase("Progressing", 30).await;
    // Flagger scales it up, and Kubernetes does so with pods of the old version.
    stage.replicas(APP, 4).await;
    let told = stage
        .eventually("the standstill is reported", 60, async || {
            let events = stage.curfews_events().await;
            let mut notes = events.into_iter().map(|(_, note)| note);
            notes.find(|note| note.contains(REPORTED))
        })
        .await;
    assert!(told.contains("the target is paused: "), "{told}");
    assert_eq!(stage.now().phase(), "Progressing");
    assert!(!stage.ever(is_judged), "it was judged while it was paused");
    assert!(
        matches!(stage.now().stamp("clock"), None | Some("silence")),
        "its time counts"
    );
    let events = stage.curfews_events().await;
    let reports = events.iter().filter(|(_, note)| note.contains(REPORTED)).count();
    assert_eq!(reports, 1, "it is reported once: {events:?}");
}

/// Whether there is a verdict on it, beside that it stands still. Flagger's Events about what does not change are throttled, which a busy Flagger may
/// make long enough to be reported as its silence.
fn is_judged(seen: &Seen) -> bool {
    seen.verdict()
        .is_some_and(|verdict| verdict["clock"] != "silence" && verdict["clock"] != "standstill")
}

async fn end_the_pause(stage: &Stage) {
    stage.change_target(&json!({"paused": false})).await;
}

#[tokio::test]
async fn a_target_that_goes_on_after_a_pause_is_analysed() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "paused").await;
    paused_beyond_the_deadline(&stage, "ready").await;
    // However long a busy machine takes to replace the pods.
    stage.set_deadline(600).await;
    end_the_pause(&stage).await;
    stage
        .until("Flagger goes on with it", 60, |seen| {
            (seen.iterations() > 0).then_some(())
        })
        .await;
    assert!(!stage.ever(is_judged), "there was a verdict");
}

#[tokio::test]
async fn the_deadline_of_a_target_that_was_paused_counts_from_the_end_of_the_pause() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "unpaused").await;
    paused_beyond_the_deadline(&stage, "crash-one").await;
    let before = curfew::cluster::clock::now().to_string();
    end_the_pause(&stage).await;
    let unready = stage
        .until("unready time is stamped", STAMPED, |seen| {
            let unready = seen.stamp("unready").filter(|_| seen.stamp("deadline").is_some())?;
            unready.contains("unready since ").then(|| unready.to_owned())
        })
        .await;
    // Nothing was counted while it was paused.
    let (counted, since) = unready.split_once("s, unready since ").expect(&unready);
    let counted: i64 = counted.parse().expect(&unready);
    assert!(
        counted <= seconds_between(&before, since) + 1,
        "{unready}, unpaused at {before}"
    );
    let verdict = stage.rolled_back(60).await;
    let reason = assert_verdict(&verdict, "rollback", "confirmed");
    assert!(reason.contains("container app: "), "{reason}");
    let deadline = verdict["deadline"].as_str().unwrap();
    let spent = seconds_between(&before, deadline);
    assert!(spent >= DEADLINE - 1, "{spent} s");
    stage.replicas(APP, 0).await;
}
