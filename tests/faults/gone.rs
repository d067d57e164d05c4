//! Canaries that go, or come again as others, and targets that change in the middle: no lever stays behind, and nothing is
//! written on what nobody judged.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    app::{self, APP, NAMESPACE},
    script::{Rule, on},
    stage::{A_WHILE, Stage},
    world::World,
};

const OTHER: &str = "other";

/// Long enough to write the script after the rollout was stamped, in seconds.
const DEADLINE: i64 = 4;

/// Around the writes that hand the verdict on a stamped rollout over, one after the other.
fn points(deed: fn(&mut World)) -> [(&'static str, Rule); 6] {
    [
        (
            "before the first lever",
            on("patch", "canaries/status").once().before(deed),
        ),
        (
            "after the first lever",
            on("patch", "canaries/status").once().after(deed),
        ),
        (
            "before the second lever",
            on("patch", "deployments/status").once().before(deed),
        ),
        (
            "after the second lever",
            on("patch", "deployments/status").once().after(deed),
        ),
        (
            "before the canary is read again",
            on("get", "canaries").from(1).once().before(deed),
        ),
        ("before the stamp", on("patch", "canaries").once().before(deed)),
    ]
}

fn delete(world: &mut World) {
    world.delete("canaries", NAMESPACE, APP);
}

fn replace(world: &mut World) {
    app::make_anew(world, APP);
}

#[tokio::test]
async fn a_canary_that_is_deleted_at_any_point_leaves_its_target_as_it_was() {
    let tests = points(delete).map(|(when, rule)| async move {
        let stage = Stage::stamped(DEADLINE).await;
        stage.server.script(rule);
        let before = stage.server.change(|world| app::progressing(world, APP).clone());
        stage
            .server
            .until(when, |world, _| {
                world.get("canaries", NAMESPACE, APP).is_none().then_some(())
            })
            .await;
        stage
            .server
            .settles(&format!("{when}: the target is as it was"), A_WHILE, |world| {
                *app::progressing(world, APP) == before
            })
            .await;
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn a_canary_that_is_deleted_after_its_verdict_leaves_its_target_as_it_was() {
    for restarted in [false, true] {
        let mut stage = Stage::open().await;
        stage.begin();
        let before = stage.server.change(|world| app::progressing(world, APP).clone());
        stage.handed_over(APP).await;
        if restarted {
            stage.kill();
            let looks = stage.server.count("get", "canaries");
            stage.start().await;
            stage
                .server
                .until("it is looked at", |_, log| {
                    (log.iter().filter(|request| request.is("list", "pods")).count() > looks).then_some(())
                })
                .await;
        }
        stage.server.change(delete);
        stage
            .server
            .until("the target is as it was", |world, _| {
                let progressing = app::progressing(world, APP);
                let neutral = restarted && progressing["reason"] == before["reason"];
                (*progressing == before || neutral).then_some(())
            })
            .await;
        stage.assert_careful();
    }
}

#[tokio::test]
async fn a_canary_that_is_made_anew_at_any_point_gets_nothing_that_was_meant_for_the_old_one() {
    let tests = points(replace).map(|(when, rule)| async move {
        let stage = Stage::stamped(DEADLINE).await;
        let uid = |world: &World| {
            world
                .get("canaries", NAMESPACE, APP)
                .map(|canary| canary["metadata"]["uid"].clone())
        };
        let old = stage.server.change(|world| uid(world));
        stage.server.script(rule);
        let before = stage.server.change(|world| app::progressing(world, APP).clone());
        stage
            .server
            .until(&format!("{when}: another one"), |world, _| {
                (uid(world) != old).then_some(())
            })
            .await;
        stage
            .server
            .settles(&format!("{when}: the target is as it was"), A_WHILE, |world| {
                *app::progressing(world, APP) == before
            })
            .await;
        stage.server.change(|world| {
            let canary = world.get("canaries", NAMESPACE, APP).expect("the Canary");
            assert_eq!(canary["metadata"]["annotations"], json!({}), "{when}");
            assert_eq!(canary["status"]["failedChecks"], 0, "{when}");
        });
        for write in stage.server.writes() {
            let of_the_target = write.resource == "events" || write.resource.starts_with("deployments");
            let is_old = Some(&write.body["metadata"]["uid"]) == old.as_ref();
            assert!(of_the_target || is_old, "{when}: {write:?}");
        }
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}

/// Another workload, with pods that are not all ready either.
fn make_other(world: &mut World, same_template: bool) {
    app::install(world, OTHER);
    app::begin(world, OTHER);
    world.delete("canaries", NAMESPACE, OTHER);
    if same_template {
        let template = world.get("deployments", NAMESPACE, APP).expect("the Deployment")["spec"]["template"].clone();
        world.change("deployments", NAMESPACE, OTHER, |other| {
            other["spec"]["template"] = template;
        });
    }
}

fn retarget(world: &mut World) {
    world.change("canaries", NAMESPACE, APP, |canary| {
        canary["spec"]["targetRef"]["name"] = json!(OTHER);
    });
}

#[tokio::test]
async fn a_target_that_is_changed_after_the_verdict_gets_its_condition_back_and_the_new_one_is_judged_anew() {
    let tests = [false, true].map(|same_template| async move {
        let stage = Stage::open().await;
        stage.server.change(|world| {
            app::begin(world, APP);
            make_other(world, same_template);
            world.change("canaries", NAMESPACE, APP, |canary| {
                canary["spec"]["progressDeadlineSeconds"] = json!(3);
            });
        });
        let before = stage.server.change(|world| app::progressing(world, APP).clone());
        stage.handed_over(APP).await;
        let renamed = Instant::now();
        stage.server.change(retarget);
        stage
            .server
            .until("the levers are withdrawn", |world, _| {
                let restored = *app::progressing(world, APP) == before;
                (restored && app::status_of(world, APP)["failedChecks"] == 0).then_some(())
            })
            .await;
        let soon = Duration::from_millis(2_500).saturating_sub(renamed.elapsed());
        stage
            .server
            .never("a verdict on what nobody judged", soon, |world, _| {
                let failed = app::is_failed_checks(world, APP);
                (failed || app::progressing(world, OTHER)["reason"] != "NewReplicaSetAvailable").then_some(())
            })
            .await;
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}
