//! Conflicts: whoever writes first wins, and Curfew judges again from scratch.

use std::time::Duration;

use crate::{
    app::{self, APP},
    request::Request,
    script::on,
    stage::{A_WHILE, Stage},
};

/// What was read and written between two requests of this kind.
fn between<'a>(log: &'a [Request], verb: &str, resource: &str) -> Vec<&'a [Request]> {
    let attempts: Vec<_> = (0..log.len()).filter(|at| log[*at].is(verb, resource)).collect();
    attempts.windows(2).map(|pair| &log[pair[0] + 1..pair[1]]).collect()
}

#[tokio::test]
async fn a_rollout_past_its_deadline_is_handed_over_with_one_write_each() {
    let stage = Stage::stamped(3).await;
    stage.handed_over(APP).await;
    stage.told("RollbackRequested").await;
    let resources: Vec<_> = stage
        .server
        .writes()
        .iter()
        .map(|write| write.resource.clone())
        .collect();
    // The verdict is written down before the second lever is pulled.
    let expected = [
        "canaries",
        "canaries/status",
        "canaries",
        "events",
        "events",
        "deployments/status",
    ];
    assert_eq!(resources, expected);
    assert_eq!(stage.events(), ["DeadlineExceeded", "RollbackRequested"]);
    stage.server.change(|world| app::fail(world, APP));
    stage.result("confirmed").await;
    stage.assert_careful();
}

#[tokio::test]
async fn each_conflict_is_judged_again_from_scratch_and_nothing_else_is_written() {
    let stage = Stage::open().await;
    stage.server.script(on("patch", "canaries/status").times(3).refuse(409));
    stage.begin();
    stage.handed_over(APP).await;
    let log = stage.server.log();
    let rounds = between(&log, "patch", "canaries/status");
    assert_eq!(rounds.len(), 3);
    for round in rounds {
        for read in ["canaries", "deployments"] {
            assert!(
                round.iter().any(|request| request.is("get", read)),
                "{read} was not read again: {round:?}"
            );
        }
        assert!(round.iter().any(|request| request.is("list", "pods")));
        assert!(!round.iter().any(Request::is_write), "{round:?}");
    }
    stage.assert_careful();
}

#[tokio::test]
async fn a_write_that_met_a_conflict_is_tried_again_within_three_seconds() {
    let stage = Stage::open().await;
    stage.server.script(on("patch", "canaries/status").once().refuse(409));
    stage.begin();
    stage.handed_over(APP).await;
    let log = stage.server.log();
    let attempts: Vec<_> = log
        .iter()
        .filter(|request| request.is("patch", "canaries/status"))
        .collect();
    assert_eq!(attempts.len(), 2);
    // At once, which may take a busy machine a moment; the next thing that would bring it about is seconds away.
    assert!(attempts[1].at - attempts[0].at < Duration::from_secs(3));
}

#[tokio::test]
async fn conflicts_without_end_are_tried_ever_more_seldom() {
    let stage = Stage::open().await;
    stage.server.script(on("patch", "canaries/status").refuse(409));
    stage.begin();
    let attempts = stage
        .server
        .until("four attempts", |_, log| {
            let attempts: Vec<_> = log
                .iter()
                .filter(|request| request.is("patch", "canaries/status"))
                .map(|request| request.at)
                .collect();
            (attempts.len() == 4).then_some(attempts)
        })
        .await;
    assert!(
        attempts[3] - attempts[2] > 2 * (attempts[2] - attempts[1]),
        "{attempts:?}"
    );
    assert_eq!(stage.server.count("patch", "deployments/status"), 0);
    assert_eq!(stage.verdicts("requested"), 0);
    assert_eq!(stage.events(), [""; 0]);
}

#[tokio::test]
async fn conflicts_on_the_deployment_are_told_as_a_verdict_and_end_with_it_in_place() {
    let stage = Stage::open().await;
    stage
        .server
        .script(on("patch", "deployments/status").times(3).refuse(409));
    stage.begin();
    stage.handed_over(APP).await;
    stage.told("RollbackRequested").await;
    assert_eq!(stage.verdicts("requested"), 1);
    assert_eq!(stage.server.count("patch", "canaries/status"), 1);
    assert_eq!(stage.events(), ["DeadlineExceeded", "RollbackRequested"]);
    stage.assert_careful();
}

#[tokio::test]
async fn a_stamp_in_conflict_is_written_on_a_state_that_was_read_since() {
    let stage = Stage::open().await;
    // Somebody else writes before each stamp.
    stage.server.script(on("patch", "canaries").times(3).before(|world| {
        world.change("canaries", app::NAMESPACE, APP, |canary| {
            let count = canary["metadata"]["labels"]["count"].as_str().unwrap_or_default().len();
            canary["metadata"]["labels"]["count"] = "x".repeat(count + 1).into();
        });
    }));
    stage.begin();
    stage.handed_over(APP).await;
    let log = stage.server.log();
    let stamps: Vec<_> = log.iter().filter(|request| request.is("patch", "canaries")).collect();
    assert_eq!(stamps.iter().filter(|stamp| stamp.answer == Some(409)).count(), 3);
    for stamp in stamps.iter().filter(|stamp| stamp.succeeded()) {
        let judged = &stamp.body["metadata"]["resourceVersion"];
        assert_eq!(*judged, stamp.found);
    }
    stage.told("RollbackRequested").await;
    assert_eq!(stage.verdicts("requested"), 1);
    stage.assert_careful();
}

#[tokio::test]
async fn conflicts_on_everything_leave_everything_as_it_was() {
    let stage = Stage::open().await;
    stage.server.script(on("patch", "*").refuse(409));
    stage.begin();
    let before = stage
        .server
        .change(|world| (app::status_of(world, APP).clone(), app::progressing(world, APP).clone()));
    stage
        .server
        .until("an attempt", |_, log| {
            log.iter()
                .any(|request| request.is("patch", "canaries/status"))
                .then_some(())
        })
        .await;
    stage
        .server
        .never("something is written", A_WHILE, |world, _| {
            let now = (app::status_of(world, APP).clone(), app::progressing(world, APP).clone());
            (now != before).then_some(())
        })
        .await;
    assert!(stage.server.writes().len() < 12, "{:?}", stage.server.writes().len());
    assert_eq!(stage.events(), [""; 0]);
    stage.server.end_of_script();
    stage.handed_over(APP).await;
    stage.assert_careful();
}
