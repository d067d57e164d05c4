//! kube-controller-manager stands still, so that a Deployment's status is of yesterday: what its pods tell counts, nothing
//! that recovered is failed, and afterwards everything goes on.

use serde_json::json;
use testbed::{Component, Options};

use crate::{
    planes,
    stage::{APP, App, Stage},
};

const DEADLINE: i64 = 25;

#[tokio::test]
async fn a_rollout_that_recovers_while_the_controllers_stand_still_is_not_failed() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let (recovers, broken) = tokio::join!(Stage::open(&plane, "recovers"), Stage::open(&plane, "broken"));
    let app = App {
        pods: 4,
        // The pause comes before it, however busy the machine is.
        deadline: 300,
        ..App::default()
    };
    tokio::join!(recovers.install(&app), broken.install(&app));
    tokio::join!(recovers.push("crash-one"), broken.push("crash-one"));
    tokio::join!(recovers.phase("Progressing", 30), broken.phase("Progressing", 30));
    // Three of four are available, and that is the last that Flagger hears.
    tokio::join!(recovers.replicas_available(APP, 3), broken.replicas_available(APP, 3));
    plane.pause(Component::ControllerManager).unwrap();
    tokio::join!(recovers.set_deadline(DEADLINE), broken.set_deadline(DEADLINE));
    for pod in recovers.target_pods().await {
        recovers.turn(&pod, "ready").await;
    }

    tokio::join!(
        async {
            let verdict = recovers
                .until("it is told that the controllers do not keep up", 60, |seen| {
                    seen.verdict_with("withheld")
                })
                .await;
            assert_eq!(verdict["clock"], json!("readiness"));
            let note = recovers.event("ActionWithheld").await;
            assert!(note.contains("controller"), "{note}");
            recovers
                .never("it was failed", 12, |seen| {
                    seen.phase() != "Progressing"
                        || seen.failed_checks() > 0
                        || seen.verdict_with("requested").is_some()
                })
                .await;
        },
        // What is broken by its pods too is nobody's backlog.
        broken.until("Flagger is handed the verdict", 60, |seen| {
            seen.verdict_with("requested")
        }),
    );
    plane.resume(Component::ControllerManager).unwrap();
    tokio::join!(
        async {
            recovers.phase("Promoting", 60).await;
            assert!(!recovers.ever(|seen| seen.verdict_with("requested").is_some()));
        },
        async {
            broken.phase("Failed", 30).await;
            broken
                .until("the rollback is confirmed", 15, |seen| seen.verdict_with("confirmed"))
                .await;
            broken.replicas(APP, 0).await;
        },
    );
}
