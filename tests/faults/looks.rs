//! Flagger's looks, which take longer the more Canaries there are: one that read the Canary before it was handed the
//! verdict must not find the second half of it.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE},
    stage::Stage,
    world::World,
};

/// With so many Canaries a look may last a whole interval, ten seconds.
const MANY: usize = 100;

/// Flagger ends a look at a rollout that is not ready.
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

/// A rollout past its deadline among many Canaries, whose failed checks were just raised.
async fn raised() -> Stage {
    let stage = Stage::with(|world| {
        app::install(world, APP);
        (1..MANY).for_each(|other| app::install(world, &format!("other{other:02}")));
    })
    .await;
    stage.begin();
    stage
        .server
        .until("the failed checks are raised", |world, _| {
            app::is_failed_checks(world, APP).then_some(())
        })
        .await;
    stage
}

#[tokio::test]
async fn the_second_lever_waits_for_looks_that_may_be_under_way() {
    let stage = raised().await;
    stage.told("RollbackRequested").await;
    let asked = stage.server.count("get", "canaries");
    let is_handed_over = |world: &World| app::is_handed_over(world, APP).then_some(());
    stage
        .server
        .never("it follows", Duration::from_secs(5), |world, _| is_handed_over(world))
        .await;
    assert_eq!(
        stage.server.count("get", "canaries"),
        asked,
        "nothing is read meanwhile"
    );
    stage.handed_over(APP).await;
    stage.assert_careful();
}

#[tokio::test]
async fn the_second_lever_follows_as_soon_as_a_look_has_ended() {
    let stage = raised().await;
    // Of an Event only the second is known.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!stage.server.change(|world| app::is_handed_over(world, APP)));
    stage.server.change(|world| end_of_look(world, APP));
    let followed = tokio::time::timeout(Duration::from_secs(3), stage.handed_over(APP)).await;
    assert!(followed.is_ok(), "it did not follow");
    stage.assert_careful();
}
