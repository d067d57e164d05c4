//! Restarts in the middle of a verdict: it is finished or withdrawn, once.

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE},
    script::{Gate, Rule, on},
    stage::{A_WHILE, Stage},
};

/// A stage on which the enforcer was killed while it waited for an answer to a write that was never done.
async fn killed_at(rule: Rule, verb: &str, resource: &str, nth: usize) -> Stage {
    let mut stage = Stage::open().await;
    stage.server.script(rule.hold(&Gate::closed()));
    stage.begin();
    stage
        .server
        .until("the write that is held", |_, log| {
            (log.iter().filter(|request| request.is(verb, resource)).count() == nth).then_some(())
        })
        .await;
    stage.kill();
    stage.server.end_of_script();
    stage
}

async fn ended_between_the_levers() -> Stage {
    killed_at(on("patch", "deployments/status"), "patch", "deployments/status", 1).await
}

async fn ended_before_the_stamp() -> Stage {
    killed_at(on("patch", "canaries").from(1), "patch", "canaries", 2).await
}

#[tokio::test]
async fn a_restart_between_the_levers_finishes_the_verdict_once() {
    let mut stage = ended_between_the_levers().await;
    stage.start().await;
    stage.handed_over(APP).await;
    stage.told("RollbackRequested").await;
    assert_eq!(stage.server.count("patch", "canaries/status"), 1);
    assert_eq!(stage.verdicts("requested"), 1);
    assert_eq!(stage.events(), ["DeadlineExceeded", "RollbackRequested"]);
    stage.assert_careful();
}

#[tokio::test]
async fn a_restart_between_the_levers_and_the_stamp_writes_the_verdict_down_once() {
    let mut stage = ended_before_the_stamp().await;
    stage.start().await;
    stage.handed_over(APP).await;
    stage.told("RollbackRequested").await;
    for lever in ["canaries/status", "deployments/status"] {
        assert_eq!(stage.server.count("patch", lever), 1, "{lever}");
    }
    assert_eq!(stage.verdicts("requested"), 1);
    assert_eq!(stage.events(), ["DeadlineExceeded", "RollbackRequested"]);
    stage.server.change(|world| app::fail(world, APP));
    stage.result("confirmed").await;
    stage.assert_careful();
}

#[tokio::test]
async fn a_verdict_that_was_finished_after_a_restart_can_be_withdrawn_whole() {
    for mut stage in [ended_between_the_levers().await, ended_before_the_stamp().await] {
        stage.start().await;
        stage.handed_over(APP).await;
        stage.server.change(|world| app::suspend(world, APP));
        stage
            .server
            .until("everything is withdrawn", |world, _| {
                let restored = app::progressing(world, APP)["reason"] == "NewReplicaSetAvailable";
                (restored && app::status_of(world, APP)["failedChecks"] == 0).then_some(())
            })
            .await;
        stage.assert_careful();
    }
}

#[tokio::test]
async fn a_rollout_that_ended_while_nobody_looked_is_confirmed_and_not_failed_again() {
    let mut stage = Stage::open().await;
    stage.begin();
    stage.handed_over(APP).await;
    stage.kill();
    stage.server.change(|world| app::fail(world, APP));
    stage.start().await;
    stage.result("confirmed").await;
    stage.told("RollbackConfirmed").await;
    stage
        .server
        .never("another lever", A_WHILE, |world, _| {
            app::is_failed_checks(world, APP).then_some(())
        })
        .await;
    assert_eq!(stage.server.count("patch", "canaries/status"), 1);
    stage.assert_careful();
}

#[tokio::test]
async fn a_verdict_whose_reason_ended_while_nobody_looked_is_withdrawn() {
    let mut stage = Stage::open().await;
    stage.begin();
    stage.handed_over(APP).await;
    stage.kill();
    stage.server.change(|world| {
        world.change("canaries", NAMESPACE, APP, |canary| {
            canary["spec"]["progressDeadlineSeconds"] = json!(600);
        });
    });
    stage.start().await;
    stage
        .server
        .until("everything is withdrawn", |world, _| {
            let restored = app::progressing(world, APP)["reason"] == "NewReplicaSetAvailable";
            (restored && app::status_of(world, APP)["failedChecks"] == 0).then_some(())
        })
        .await;
    stage.result("withheld").await;
    stage.assert_careful();
}
