//! Two writers: what changes between a look and a lever, or between two levers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    app::{self, APP, NAMESPACE},
    request::Request,
    script::{Rule, on},
    stage::{A_WHILE, Stage},
    world::World,
};

type Deed = fn(&mut World);

fn change_canary(world: &mut World, change: impl FnOnce(&mut Value)) {
    world.change("canaries", NAMESPACE, APP, change);
}

fn mark_deleted(world: &mut World) {
    change_canary(world, |canary| {
        canary["metadata"]["deletionTimestamp"] = json!(app::time());
    });
}

fn fix(world: &mut World) {
    app::push(world, APP);
    app::take_up(world, APP);
    app::heal(world, APP);
}

fn promote(world: &mut World) {
    change_canary(world, |canary| app::phase(canary, "Promoting"));
}

fn lengthen(world: &mut World) {
    change_canary(world, |canary| canary["spec"]["progressDeadlineSeconds"] = json!(600));
}

/// What ends the reason for a verdict.
const ENDS: [(&str, Deed); 6] = [
    ("suspended", |world| app::suspend(world, APP)),
    ("marked as deleted", mark_deleted),
    ("a fix taken up", fix),
    ("a fix pushed", |world| app::push(world, APP)),
    ("promoted", promote),
    ("a longer deadline", lengthen),
];

async fn stage_with(rule: Rule) -> (Stage, Value) {
    let stage = Stage::open().await;
    stage.server.script(rule);
    stage.begin();
    let before = stage.server.change(|world| app::progressing(world, APP).clone());
    (stage, before)
}

#[tokio::test]
async fn what_changes_before_the_first_lever_keeps_every_lever_away() {
    let tests = ENDS.map(|(what, deed)| async move {
        let (stage, before) = stage_with(on("patch", "canaries/status").once().before(deed)).await;
        stage
            .server
            .until(what, |_, log| {
                log.iter()
                    .any(|request| request.is("patch", "canaries/status"))
                    .then_some(())
            })
            .await;
        stage
            .server
            .never(what, A_WHILE, |world, _| {
                let failed = app::status_of(world, APP)["failedChecks"] != 0;
                let exceeded = *app::progressing(world, APP) != before;
                // A fix that only the Deployment knows of does not touch the Canary, so that the first lever gets there.
                let pushed = what == "a fix pushed";
                (exceeded || (failed && !pushed)).then_some(())
            })
            .await;
        if what == "a fix pushed" {
            stage
                .server
                .until("the first lever is withdrawn", |world, _| {
                    (app::status_of(world, APP)["failedChecks"] == 0).then_some(())
                })
                .await;
        }
        assert!(
            !stage
                .server
                .log()
                .iter()
                .any(|request| request.is("patch", "deployments/status") && request.succeeded())
        );
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn what_changes_after_the_verdict_withdraws_it_and_puts_back_what_was_there() {
    let tests = ENDS.map(|(what, deed)| async move {
        let stage = Stage::open().await;
        stage.begin();
        let before = stage.server.change(|world| {
            change_canary(world, |canary| canary["status"]["failedChecks"] = json!(2));
            app::progressing(world, APP).clone()
        });
        stage.handed_over(APP).await;
        stage.server.change(deed);
        stage
            .server
            .until(&format!("{what}: withdrawn"), |world, _| {
                let restored = app::status_of(world, APP)["failedChecks"] == failed_checks_after(what);
                let verdict = app::has_result(world, APP, "withheld").is_some();
                (restored && verdict && *app::progressing(world, APP) == before).then_some(())
            })
            .await;
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}

/// Flagger had counted two. In a phase in which nobody counts them, they are left alone.
fn failed_checks_after(what: &str) -> i64 {
    match what {
        "a fix taken up" => 0,
        "promoted" => app::THRESHOLD,
        _ => 2,
    }
}

#[tokio::test]
async fn what_changes_between_the_levers_keeps_the_second_away_and_withdraws_the_first() {
    between_the_levers(on("patch", "canaries/status").once(), Rule::after, 0).await;
}

#[tokio::test]
async fn what_changes_just_before_the_second_lever_withdraws_both() {
    between_the_levers(on("patch", "deployments/status").once(), Rule::before, 1).await;
}

/// Whatever ends the reason around a request: everything is withdrawn, after so many tries at the target at the least.
async fn between_the_levers(rule: Rule, when: fn(Rule, Deed) -> Rule, tries: usize) {
    let tests = ENDS.map(|(what, deed)| {
        let rule = when(rule.clone(), deed);
        async move {
            let (stage, before) = stage_with(rule).await;
            stage
                .server
                .change(|world| change_canary(world, |canary| canary["status"]["failedChecks"] = json!(2)));
            let pulls = |log: &[Request]| {
                log.iter()
                    .filter(|request| request.is("patch", "deployments/status"))
                    .count()
            };
            stage
                .server
                .until(&format!("{what}: withdrawn"), |world, log| {
                    let pulled = pulls(log) >= tries;
                    let raised = log.iter().any(|request| request.is("patch", "canaries/status"));
                    let restored = app::status_of(world, APP)["failedChecks"] == failed_checks_after(what);
                    let verdict = app::has_result(world, APP, "withheld").is_some();
                    (raised && pulled && restored && verdict && *app::progressing(world, APP) == before).then_some(())
                })
                .await;
            stage
                .server
                .never(&format!("{what}: pulled again"), A_WHILE, |world, _| {
                    (*app::progressing(world, APP) != before).then_some(())
                })
                .await;
            if tries == 0 {
                assert_eq!(pulls(&stage.server.log()), 0, "{what}");
            }
            stage.assert_careful();
        }
    });
    futures::future::join_all(tests).await;
}

/// Pods that are ready for a moment take the lever off their target; whenever Flagger looks, it must be there.
#[tokio::test]
async fn a_lever_that_is_taken_away_again_and_again_is_put_back_each_time() {
    let (stage, _) = stage_with(on("patch", "deployments/status").after(|world| {
        world.change("deployments", NAMESPACE, APP, |deployment| {
            for condition in deployment["status"]["conditions"].as_array_mut().expect("conditions") {
                if condition["type"] == "Progressing" {
                    condition["status"] = json!("True");
                    condition["reason"] = json!("ReplicaSetUpdated");
                }
            }
        });
    }))
    .await;
    let pulls = |log: &[Request]| {
        log.iter()
            .filter(|request| request.is("patch", "deployments/status"))
            .count()
    };
    stage
        .server
        .until("the first", |_, log| (pulls(log) > 0).then_some(()))
        .await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let found = pulls(&stage.server.log());
    assert!((8..=13).contains(&found), "{found} in 12 s");
    stage.assert_careful();
}
