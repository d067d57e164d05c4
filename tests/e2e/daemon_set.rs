//! `DaemonSet` targets: Flagger counts for them from the Canary's own `lastTransitionTime` (`docs/flagger.md#l6`), which
//! is all that moves it, and which gives a rollout less time than its interval where that is the longer of the two.

use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use testbed::OUTCOME;

use crate::{
    curfew_says::seconds_between,
    planes,
    stage::{APP, App, Stage},
};

async fn install(stage: &Stage, app: &App) {
    let mut target = app.deployment();
    target["kind"] = "DaemonSet".into();
    target["spec"].as_object_mut().unwrap().remove("replicas");
    let mut canary = app.canary();
    canary["spec"]["targetRef"]["kind"] = "DaemonSet".into();
    stage.create(&target).await;
    stage.initialize(&canary).await;
}

async fn push(stage: &Stage, outcome: &str) {
    let targets: Api<DaemonSet> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let image = format!("app:{:08x}", fastrand::u32(..));
    let template = json!({
        "metadata": {"annotations": {OUTCOME: outcome}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    });
    let patch = Patch::Strategic(json!({"spec": {"template": template}}));
    targets.patch(APP, &PatchParams::default(), &patch).await.unwrap();
}

/// A deadline that is shorter than the interval.
const IMPATIENT: i64 = 30;

#[tokio::test]
async fn a_crash_looping_daemon_set_is_rolled_back_long_before_its_deadline() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "daemons").await;
    let app = App {
        deadline: 300,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 3}),
        ..App::default()
    };
    install(&stage, &app).await;
    push(&stage, "crash-last:4").await;
    stage.phase("Progressing", 30).await;
    let verdict = stage.rolled_back(60).await;
    assert_eq!(
        (&verdict["clock"], &verdict["remedy"]),
        (&json!("crashes"), &json!("rollback"))
    );
    let reason = verdict["reason"].as_str().unwrap();
    assert!(reason.contains("container app: "), "{reason}");

    push(&stage, "ready").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("Flagger goes on with the next version", 60, |seen| {
            assert!(seen.phase() != "Failed", "the next version was failed");
            (seen.iterations() > 0).then_some(())
        })
        .await;
    assert_eq!(stage.now().verdict(), Some(verdict), "the next version was judged");
}

#[tokio::test]
async fn a_daemon_set_with_an_interval_beyond_its_deadline_is_failed_by_flagger_itself() {
    // docs/flagger.md#f16
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "impatient").await;
    let app = App {
        deadline: IMPATIENT,
        analysis: json!({"interval": "40s", "threshold": 3, "iterations": 5}),
        labels: json!({"plane.curfew.dev/admission": "audit"}),
        ..App::default()
    };
    install(&stage, &app).await;
    push(&stage, "ready").await;
    stage.phase("Progressing", 40).await;
    // What it writes when it looks tells when it looks again.
    let look = stage
        .until("it looked", 90, |seen| (seen.iterations() > 0).then_some(seen.at))
        .await;
    // One pod is unready for less than the deadline, and in that time Flagger looks.
    tokio::time::sleep_until((look + Duration::from_secs(20)).into()).await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "unready").await;
    // Read before Flagger scales the target to 0.
    let unready = stage.unready_since(&pod).await;
    let failed = stage.phase("Failed", 50).await;
    let failed = failed.canary["status"]["conditions"][0]["lastUpdateTime"]
        .as_str()
        .unwrap();
    let took = seconds_between(&unready, failed);
    assert!(
        (0..IMPATIENT).contains(&took),
        "failed after {took} s, expected less than {IMPATIENT} s"
    );
    // Curfew has nothing to do with it, and no lever that would prevent it.
    let verdict = stage.now().verdict();
    assert!(verdict.is_none_or(|verdict| verdict["clock"] == "initialization"));
}
