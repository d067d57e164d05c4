//! Leadership that is lost in the middle of a write.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE},
    request::Request,
    script::{Gate, on},
    stage::{A_WHILE, Stage},
};

#[tokio::test]
async fn a_write_that_is_answered_after_the_leadership_was_lost_is_the_last_one() {
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
    let looks = stage.leases.count("get", "leases");
    stage.leases.change(|world| {
        world.change("leases", NAMESPACE, "curfew", |lease| {
            lease["spec"]["holderIdentity"] = json!("another");
        });
    });
    stage
        .leases
        .until("the Lease is looked at", |_, log| {
            (log.iter().filter(|request| request.is("get", "leases")).count() > looks).then_some(())
        })
        .await;
    let lost = async {
        while stage.leads() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), lost)
        .await
        .expect("the loss is noticed");
    let before = stage.server.writes().len();
    gate.open();
    stage
        .server
        .until("the first lever is in place", |world, _| {
            app::is_failed_checks(world, APP).then_some(())
        })
        .await;
    stage
        .server
        .never("another write", A_WHILE, |_, log| {
            (log.iter().filter(|request| Request::is_write(request)).count() > before).then_some(())
        })
        .await;
    stage.assert_careful();
}
