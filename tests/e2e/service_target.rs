//! A target that is a plain Service: to Flagger it is always ready, so that nothing but failed checks moves it
//! (`docs/flagger.md#l2`). Its readiness cannot be judged; how long the whole rollout takes can.
//!
//! The Service is one of type `ExternalName`: of any other Flagger cannot make the copies that it needs
//! (`docs/flagger.md#service-targets`).

use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    planes,
    stage::{APP, App, Stage},
};

/// Sends the Service to another version.
async fn switch(stage: &Stage, version: &str) {
    let services: Api<Service> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let patch = Patch::Merge(json!({"spec": {"externalName": version}}));
    services.patch(APP, &PatchParams::default(), &patch).await.unwrap();
}

async fn version(stage: &Stage, service: &str) -> String {
    let services: Api<Service> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let found = services.get(service).await.unwrap();
    found.spec.unwrap().external_name.unwrap()
}

#[tokio::test]
async fn a_service_that_takes_longer_than_its_owner_said_is_rolled_back() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "service").await;
    let app = App {
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1}),
        ..App::default()
    };
    let mut canary = app.canary();
    canary["metadata"]["annotations"] = json!({"curfew.dev/rollout-deadline": "11s"});
    canary["spec"]["targetRef"] = json!({"apiVersion": "v1", "kind": "Service", "name": APP});
    stage
        .create(&json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": APP},
            "spec": {"type": "ExternalName", "externalName": "v1.example.com"},
        }))
        .await;
    stage.initialize(&canary).await;

    switch(&stage, "v2.example.com").await;
    stage.phase("Progressing", 30).await;
    let verdict = stage.rolled_back(60).await;
    assert_eq!(
        (&verdict["clock"], &verdict["remedy"], &verdict["reason"]),
        (
            &json!("rollout"),
            &json!("rollback"),
            &json!("the target is ready, but the rollout is not done")
        )
    );
    assert!(stage.ever(|seen| seen.failed_checks() == 3), "the checks were failed");
    assert_eq!(version(&stage, "web-primary").await, "v1.example.com");

    // With the time that it needs, the next version is analysed.
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"curfew.dev/rollout-deadline": "10m"}}}));
    stage
        .canaries()
        .patch(APP, &PatchParams::default(), &patch)
        .await
        .unwrap();
    switch(&stage, "v3.example.com").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("Flagger goes on with it", 60, |seen| {
            (seen.iterations() > 0).then_some(())
        })
        .await;
    assert_eq!(stage.now().verdict(), Some(verdict), "the next version was judged");
}
