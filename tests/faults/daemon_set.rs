//! A `DaemonSet`'s second lever is the Canary's own `lastTransitionTime`: both are one write to one object.

use curfew::cluster::clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    app::{self, APP, NAMESPACE},
    script::on,
    stage::{A_WHILE, Stage},
    world::World,
};

async fn open() -> Stage {
    Stage::with(|world| app::install_daemon_set(world, APP)).await
}

/// The rollout begins, and then Flagger writes the status, ahead of this clock, so that its own clock has some time left
/// however late the deadline is judged. Answers what it wrote.
async fn begin(stage: &Stage) -> Value {
    stage.server.change(|world| app::begin_daemon_set(world, APP));
    stage
        .server
        .until("the rollout is looked at", |_, log| {
            log.iter().any(|request| request.is("patch", "canaries")).then_some(())
        })
        .await;
    let later = Timestamp::from_second(clock::now().as_second() + 60).expect("a time");
    stage.server.change(|world| {
        world.change("canaries", NAMESPACE, APP, |canary| {
            canary["status"]["lastTransitionTime"] = json!(later.to_string());
        });
        transition(world)
    })
}

fn transition(world: &World) -> Value {
    app::status_of(world, APP)["lastTransitionTime"].clone()
}

async fn handed_over(stage: &Stage, found: &Value) {
    stage
        .server
        .until("both levers are in place", |world, _| {
            (app::is_failed_checks(world, APP) && transition(world) != *found).then_some(())?;
            app::has_result(world, APP, "requested")
        })
        .await;
}

async fn withdrawn(stage: &Stage) -> Value {
    stage
        .server
        .until("the verdict is withdrawn", |world, _| {
            app::has_result(world, APP, "withheld")?;
            (app::status_of(world, APP)["failedChecks"] == 0).then(|| transition(world))
        })
        .await
}

#[tokio::test]
async fn a_withdrawal_puts_back_the_transition_that_flagger_wrote() {
    let stage = open().await;
    let found = begin(&stage).await;
    handed_over(&stage, &found).await;
    stage.server.change(|world| app::suspend(world, APP));
    assert_eq!(withdrawn(&stage).await, found);
    stage.assert_careful();
}

#[tokio::test]
async fn a_withdrawal_after_a_restart_gives_flagger_its_whole_deadline() {
    let mut stage = open().await;
    let found = begin(&stage).await;
    handed_over(&stage, &found).await;
    let killed = clock::now().as_second();
    stage.kill();
    stage.server.change(|world| {
        world.change("canaries", NAMESPACE, APP, |canary| {
            canary["spec"]["progressDeadlineSeconds"] = json!(600);
        });
    });
    stage.start().await;
    let transition: Timestamp = withdrawn(&stage)
        .await
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    assert!(clock::now().duration_since(transition) < SignedDuration::from_secs(60));
    assert!(transition.as_second() >= killed);
    stage.assert_careful();
}

#[tokio::test]
async fn both_levers_are_one_write() {
    let stage = open().await;
    stage
        .server
        .script(on("patch", "canaries/status").once().after(|world| {
            world.change("canaries", NAMESPACE, APP, |canary| {
                canary["metadata"]["labels"] = json!({"by": "a user"});
            });
        }));
    let found = begin(&stage).await;
    handed_over(&stage, &found).await;
    stage.told("RollbackRequested").await;
    let writes = stage.server.writes();
    let statuses: Vec<_> = writes
        .iter()
        .filter(|write| write.resource == "canaries/status")
        .map(|write| (write.answer, write.body["status"].as_object().map(serde_json::Map::len)))
        .collect();
    assert_eq!(statuses, [(Some(200), Some(2))]);
    assert_eq!(stage.verdicts("requested"), 1);
    stage.assert_careful();
}

#[tokio::test]
async fn a_canary_that_is_suspended_at_the_same_moment_gets_back_what_it_had() {
    let stage = open().await;
    stage.server.script(
        on("patch", "canaries/status")
            .once()
            .after(|world| app::suspend(world, APP)),
    );
    let found = begin(&stage).await;
    assert_eq!(withdrawn(&stage).await, found);
    stage
        .server
        .never("a lever", A_WHILE, |world, _| {
            (transition(world) != found).then_some(())
        })
        .await;
    stage.assert_careful();
}
