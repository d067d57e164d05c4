//! An API server that was gone for everybody: when it is back, kubelets have something to tell before anybody is judged.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE},
    script::on,
    stage::{A_WHILE, Stage},
    world::World,
};

/// From here on the API server was gone for everybody.
const OUTAGE: Duration = Duration::from_secs(11);

/// Kubelets tell within ten seconds.
const NEWS: Duration = Duration::from_secs(10);

/// So long before that time is over the pods are ready.
const HEALED_BEFORE: Duration = Duration::from_secs(3);

fn lease_to(stage: &Stage, holder: &str) {
    stage.leases.change(|world| {
        world.change("leases", NAMESPACE, "curfew", |lease| {
            lease["spec"]["holderIdentity"] = json!(holder);
        });
    });
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let come = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let come = tokio::time::timeout(Duration::from_secs(30), come).await;
    assert!(come.is_ok(), "never: {what}");
}

/// A rollout whose deadline passed in an outage that has just ended, and a moment before it in which pods may have got ready.
async fn back(leadership_is_lost: bool) -> (Stage, String) {
    let stage = Stage::stamped(5).await;
    stage.server.script(on("*", "*").refuse(503));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let in_time = app::time();
    stage
        .server
        .until("a refusal", |_, log| {
            log.iter().any(|request| request.answer == Some(503)).then_some(())
        })
        .await;
    let begun = tokio::time::Instant::now();
    if leadership_is_lost {
        lease_to(&stage, "another");
        until("the loss is noticed", || !stage.leads()).await;
    }
    tokio::time::sleep_until(begun + OUTAGE).await;
    let answered = stage.server.log().len();
    stage.server.end_of_script();
    if leadership_is_lost {
        lease_to(&stage, "");
        until("it leads again", || stage.leads()).await;
    }
    stage
        .server
        .until("an answer", |_, log| {
            log[answered..]
                .iter()
                .any(|request| request.answer == Some(200))
                .then_some(())
        })
        .await;
    (stage, in_time)
}

fn is_raised(world: &World) -> Option<()> {
    app::is_failed_checks(world, APP).then_some(())
}

#[tokio::test]
async fn pods_that_got_ready_while_the_api_server_was_gone_are_heard_before_anything_is_done() {
    let tests = [false, true].map(|leadership_is_lost| async move {
        let (stage, ready_at) = back(leadership_is_lost).await;
        stage
            .server
            .never("it is failed", NEWS.saturating_sub(HEALED_BEFORE), |world, _| {
                is_raised(world)
            })
            .await;
        stage.server.change(|world| {
            app::heal(world, APP);
            world.change("pods", NAMESPACE, &format!("{APP}-0"), |pod| {
                pod["status"]["conditions"][0]["lastTransitionTime"] = json!(ready_at);
            });
        });
        stage
            .server
            .never("it is failed", HEALED_BEFORE + A_WHILE, |world, _| is_raised(world))
            .await;
        assert_eq!(stage.events(), [""; 0]);
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn pods_that_did_not_are_failed_when_kubelets_had_their_time() {
    let tests = [false, true].map(|leadership_is_lost| async move {
        let (stage, _) = back(leadership_is_lost).await;
        let back = tokio::time::Instant::now();
        stage.handed_over(APP).await;
        assert!(back.elapsed() < NEWS + Duration::from_secs(5), "{:?}", back.elapsed());
        stage.told("RollbackRequested").await;
        assert_eq!(stage.verdicts("requested"), 1);
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}
