//! `DaemonSet` targets: Flagger counts for them from the Canary's own `lastTransitionTime` (`docs/flagger.md#l6`).

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use plane::OUTCOME;
use serde_json::json;

use crate::{
    planes,
    stage::{APP, App, Stage},
};

#[tokio::test]
async fn a_crash_looping_daemon_set_is_rolled_back_long_before_its_deadline() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "daemons").await;
    let app = App {
        deadline: 300,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 50}),
        ..App::default()
    };
    let mut target = app.deployment();
    target["kind"] = "DaemonSet".into();
    target["spec"].as_object_mut().unwrap().remove("replicas");
    let mut canary = app.canary();
    canary["spec"]["targetRef"]["kind"] = "DaemonSet".into();
    stage.create(&target).await;
    stage.create(&canary).await;
    stage.phase("Initialized", 90).await;

    let targets: Api<DaemonSet> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let template = json!({"metadata": {"annotations": {OUTCOME: "crash-last:4"}}});
    let patch = Patch::Strategic(json!({"spec": {"template": template}}));
    targets.patch(APP, &PatchParams::default(), &patch).await.unwrap();
    stage.phase("Progressing", 30).await;
    stage.phase("Failed", 60).await;
    let verdict = stage
        .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;
    assert_eq!(
        (&verdict["clock"], &verdict["remedy"]),
        (&json!("crashes"), &json!("rollback"))
    );
    let reason = verdict["reason"].as_str().unwrap();
    assert!(reason.contains("container app: "), "{reason}");
}
