//! Flagger's checks, which take longer the more Canaries there are: one that read the Canary before it was handed the
//! verdict must not find the second half of it.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE},
    script::on,
    stage::Stage,
    world::World,
};

/// With so many Canaries a look may last a whole interval, ten seconds.
const MANY: usize = 100;

/// Flagger ends a check of a rollout that is not ready.
fn end_of_look(world: &mut World, name: &str) {
    world.create(
        "events",
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{name}.1"), "namespace": NAMESPACE},
            "involvedObject": {"kind": "Canary", "namespace": NAMESPACE, "name": name},
            "source": {"component": "flagger"},
            "reason": "Synced", "type": "Warning", "message": "not ready",
            "lastTimestamp": app::time(),
        }),
    );
}

/// An application at rest among many.
async fn many() -> Stage {
    Stage::with(|world| {
        app::install(world, APP);
        (1..MANY).for_each(|other| app::install(world, &format!("other{other:02}")));
    })
    .await
}

async fn raised(stage: &Stage) {
    stage
        .server
        .until("the failed checks are raised", |world, _| {
            app::is_failed_checks(world, APP).then_some(())
        })
        .await;
}

/// The second lever does not follow for some seconds, and then it does.
async fn follows_later(stage: &Stage) {
    stage
        .server
        .never("it follows", Duration::from_secs(4), |world, _| {
            app::is_handed_over(world, APP).then_some(())
        })
        .await;
    stage.handed_over(APP).await;
    stage.assert_careful();
}

#[tokio::test]
async fn the_second_lever_waits_for_looks_that_may_be_under_way() {
    let stage = many().await;
    stage.begin();
    raised(&stage).await;
    stage.told("RollbackRequested").await;
    let asked = stage.server.count("get", "canaries");
    stage
        .server
        .never("something is read", Duration::from_secs(2), |_, log| {
            (log.iter().filter(|request| request.is("get", "canaries")).count() > asked).then_some(())
        })
        .await;
    follows_later(&stage).await;
}

#[tokio::test]
async fn it_waits_also_if_the_answer_to_the_first_was_lost() {
    let stage = many().await;
    stage.server.script(on("patch", "canaries/status").once().lose_answer());
    stage.begin();
    raised(&stage).await;
    follows_later(&stage).await;
}

#[tokio::test]
async fn it_waits_also_after_a_restart() {
    let mut stage = many().await;
    stage.begin();
    raised(&stage).await;
    stage.told("RollbackRequested").await;
    stage.kill();
    stage.start().await;
    follows_later(&stage).await;
}

#[tokio::test]
async fn the_second_lever_follows_as_soon_as_a_look_has_ended() {
    let stage = many().await;
    stage.begin();
    raised(&stage).await;
    stage.told("RollbackRequested").await;
    // Of an Event only the second is known.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!stage.server.change(|world| app::is_handed_over(world, APP)));
    stage.server.change(|world| end_of_look(world, APP));
    let followed = tokio::time::timeout(Duration::from_secs(3), stage.handed_over(APP)).await;
    assert!(followed.is_ok(), "it did not follow");
    stage.assert_careful();
}

#[tokio::test]
async fn a_fix_that_a_flagger_that_is_down_does_not_see_is_not_asked_about_all_the_time() {
    let stage = Stage::stamped(4).await;
    stage.server.change(|world| app::push(world, APP));
    // An interval and five seconds later it is believed, if Flagger shows a sign of life.
    tokio::time::sleep(Duration::from_secs(17)).await;
    let asked = stage.server.log().len();
    stage
        .server
        .never("something is asked", Duration::from_secs(3), |_, log| {
            (log.len() > asked).then_some(())
        })
        .await;
    assert_eq!(stage.events(), ["ActionWithheld"]);
    stage.server.change(|world| end_of_look(world, APP));
    stage.handed_over(APP).await;
    stage.assert_careful();
}
