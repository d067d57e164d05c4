//! One pod of the *primary* is not ready (`docs/flagger.md#f13`): Flagger does not look at the canary, so that nothing
//! could move it. Curfew reports that once, at the deadline, and counts no time; when the primary is well again, the canary
//! has what is left.

use kube::{ResourceExt as _, api::ListParams};
use testbed::Handle;

use crate::{
    curfew_says::{rolled_back, seconds_between},
    planes,
    stage::{App, Seen, Stage},
};

const DEADLINE: i64 = 30;

/// Begins a rollout and breaks one pod of the primary at once.
async fn with_a_broken_primary(stage: &Stage, outcome: &str) -> String {
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            ..App::default()
        })
        .await;
    let primary = ListParams::default().labels("app=web-primary");
    let pod = stage
        .pods()
        .list(&primary)
        .await
        .unwrap()
        .items
        .swap_remove(0)
        .name_any();
    stage.push(outcome).await;
    stage.phase("Progressing", 30).await;
    stage.turn(&pod, "unready").await;
    stage.replicas_available("web-primary", 3).await;
    pod
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "primary").await;
    // No pod of the canary is ready, which Flagger would end by itself if it looked (docs/flagger.md#f6).
    with_a_broken_primary(&stage, "unready").await;
    stage
        .never("Flagger looked at the canary", 45, |seen| seen.phase() != "Progressing")
        .await;
}

/// Whether Curfew gave a verdict, beside that nothing moves.
fn is_judged(seen: &Seen) -> bool {
    seen.verdict().is_some_and(|verdict| verdict["clock"] != "standstill")
}

#[tokio::test]
async fn a_primary_that_is_not_ready_is_told_of_and_costs_the_canary_no_time() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "primary").await;
        let pod = with_a_broken_primary(&stage, "crash-one").await;
        stage
            .never("it was judged by the primary's time", 35, |seen| {
                is_judged(seen) || (seen.phase(), seen.failed_checks()) != ("Progressing", 0)
            })
            .await;
        let told = stage.event("DeadlineExceeded").await;
        assert!(
            told.starts_with("the standstill deadline of 30 s has passed: the primary is not ready"),
            "{told}"
        );
        let events = stage.curfews_events().await;
        assert_eq!(events.len(), 1, "reported once and nothing else: {events:?}");

        let well_again = curfew::cluster::clock::now();
        stage.turn(&pod, "ready").await;
        let verdict = rolled_back(&stage, "readiness", DEADLINE.unsigned_abs() + 30).await;
        let deadline = verdict["deadline"].as_str().unwrap();
        let left = seconds_between(&well_again.to_string(), deadline);
        // A moment passed before the primary broke.
        assert!((DEADLINE - 10..=DEADLINE + 10).contains(&left), "{left} s were left");
    });
}
