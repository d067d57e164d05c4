//! Leadership that is lost in the middle of a write.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE, THRESHOLD},
    request::Request,
    script::{Gate, on},
    stage::{A_WHILE, Stage},
    world::World,
};

/// An enforcer that lost its leadership while its first lever is on its way, and the gate behind which that waits.
async fn lost_in_mid_write() -> (Stage, Gate) {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.server.script(on("patch", "canaries/status").hold(&gate));
    stage.begin();
    stage
        .server
        .until("the first lever is on its way", |_, log| {
            log.iter()
                .any(|request| request.is("patch", "canaries/status"))
                .then_some(())
        })
        .await;
    stage.leases.change(|world| {
        world.change("leases", NAMESPACE, "curfew", |lease| {
            lease["spec"]["holderIdentity"] = json!("another");
        });
    });
    let lost = async {
        while stage.leads() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), lost)
        .await
        .expect("the loss is noticed");
    (stage, gate)
}

/// Lets the write go, and sees that nothing else is written after it.
async fn is_the_last_write(stage: &Stage, gate: &Gate, what: &str, come: impl Fn(&World, &[Request]) -> Option<()>) {
    let before = stage.server.writes().len();
    gate.open();
    stage.server.until(what, come).await;
    stage
        .server
        .never("another write", A_WHILE, |_, log| {
            (log.iter().filter(|request| Request::is_write(request)).count() > before).then_some(())
        })
        .await;
    stage.assert_careful();
}

#[tokio::test]
async fn a_write_that_is_answered_after_the_leadership_was_lost_is_the_last_one() {
    let (stage, gate) = lost_in_mid_write().await;
    is_the_last_write(&stage, &gate, "the first lever is in place", |world, _| {
        app::is_failed_checks(world, APP).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_write_that_arrives_after_another_took_over_is_refused_and_the_last_one() {
    let (stage, gate) = lost_in_mid_write().await;
    stage.server.change(|world| {
        world.change("canaries", NAMESPACE, APP, |canary| {
            canary["status"]["failedChecks"] = json!(THRESHOLD);
        });
    });
    is_the_last_write(&stage, &gate, "the late write is refused", |_, log| {
        let late = log.iter().find(|request| request.is("patch", "canaries/status"))?;
        (late.answer? == 409).then_some(())
    })
    .await;
}
