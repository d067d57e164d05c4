//! Restarts in the middle of a verdict: it is finished or withdrawn, once.

use std::time::Duration;

use curfew::{cluster::clock, leader::election};
use jiff::{SignedDuration, Timestamp};
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
    // Flagger writes whole seconds: at the end of one, a deadline of one second has passed before the first stamp.
    let into_second = Duration::from_nanos(clock::now().subsec_nanosecond().unsigned_abs().into());
    tokio::time::sleep(Duration::from_secs(1).saturating_sub(into_second)).await;
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

#[tokio::test]
async fn time_in_which_nobody_led_and_somebody_edited_the_canary_does_not_count() {
    const LIMIT: i64 = 12;
    const NOBODY: i64 = 6;
    // The leader's last renewal as the Lease tells it, in seconds after the rollout began; what a leader saw within 10 s of
    // its end may not be in the stamp.
    let tests = [(false, None, None), (true, None, Some(0)), (true, Some(13), Some(3))].map(
        async |(edited, renewed, spent)| {
            let mut stage = Stage::open().await;
            edit(&stage, 1, LIMIT);
            stage.begin();
            let began = clock::now();
            stamped_deadline(&stage, "1").await;
            stage.kill();
            if edited {
                // It was suspended, and let go on.
                edit(&stage, 3, LIMIT);
            }
            stage.leases.change(|world| match renewed {
                Some(second) => world.change("leases", NAMESPACE, election::NAME, |lease| {
                    lease["spec"]["renewTime"] = json!((began + SignedDuration::from_secs(second)).to_string());
                }),
                None => world.delete("leases", NAMESPACE, election::NAME),
            });
            tokio::time::sleep(Duration::from_secs(NOBODY.unsigned_abs())).await;
            let restarted = clock::now();
            stage.start().await;
            let deadline = stamped_deadline(&stage, if edited { "3" } else { "1" }).await;
            let took = clock::now().duration_since(restarted).as_millis();
            let left = deadline.duration_since(restarted).as_millis();
            let spent = spent.map_or(restarted.duration_since(began).as_millis(), |spent| spent * 1000);
            // Annotations are whole seconds, and so is what they add up to.
            let expected = i128::from(LIMIT) * 1000 - spent;
            assert!(
                (expected - 1000..expected + 2000 + took).contains(&left),
                "{edited} {renewed:?}: {left} ms"
            );
        },
    );
    futures::future::join_all(tests).await;
}

fn edit(stage: &Stage, generation: i64, limit: i64) {
    stage.server.change(|world| {
        world.change("canaries", NAMESPACE, APP, |canary| {
            canary["metadata"]["generation"] = json!(generation);
            canary["spec"]["progressDeadlineSeconds"] = json!(limit);
        });
    });
}

/// The deadline in a stamp that knows this generation of the Canary.
async fn stamped_deadline(stage: &Stage, generation: &str) -> Timestamp {
    stage
        .server
        .until("a stamp", |world, _| {
            let annotations = &world.get("canaries", NAMESPACE, APP)?["metadata"]["annotations"];
            let is_known = annotations["curfew.dev/observed-generation"] == generation;
            let deadline = annotations["curfew.dev/deadline"].as_str().filter(|_| is_known)?;
            deadline.parse().ok()
        })
        .await
}
