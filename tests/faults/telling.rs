//! Events that cannot be written: the verdict stands, nothing waits for them, and they are not tried for ever.

use std::time::{Duration, Instant};

use crate::{
    app::{self, APP},
    script::{Gate, on},
    stage::{A_WHILE, Stage},
};

#[tokio::test]
async fn refused_events_are_tried_once_each_and_the_verdict_stands() {
    let tests = [403, 500].map(|code| async move {
        let stage = Stage::open().await;
        stage.server.script(on("create", "events").refuse(code));
        stage.begin();
        stage.handed_over(APP).await;
        stage.told("RollbackRequested").await;
        stage
            .server
            .never("a third attempt", A_WHILE, |_, log| {
                (log.iter().filter(|request| request.is("create", "events")).count() > 2).then_some(())
            })
            .await;
        stage.server.change(|world| app::fail(world, APP));
        stage.result("confirmed").await;
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn nothing_waits_for_events_that_are_never_answered() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.server.script(on("create", "events").hold(&gate));
    stage.begin();
    stage.handed_over(APP).await;
    let failed = Instant::now();
    stage.server.change(|world| app::fail(world, APP));
    stage.result("confirmed").await;
    // Less than the ten seconds that one request may take.
    assert!(failed.elapsed() < Duration::from_secs(5), "{:?}", failed.elapsed());
    gate.open();
    stage
        .server
        .until("what was told is written when it can be", |_, log| {
            let told = log.iter().filter(|request| request.is("create", "events"));
            (told.filter(|request| request.succeeded()).count() == 3).then_some(())
        })
        .await;
    stage.assert_careful();
}
