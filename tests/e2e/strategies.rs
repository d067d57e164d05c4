//! The other ways to roll out: blue/green with mirrored traffic, and A/B. In each a pod breaks in mid-analysis;
//! each ends with all traffic on the primary and none mirrored, and the next version is analysed as if nothing had been.

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    curfew_says::assert_verdict,
    planes,
    stage::{APP, App, Stage},
};

/// What each rule of the `HTTPRoute` does: the weights of its backends, and whether it mirrors.
async fn rules(stage: &Stage) -> Vec<(Vec<i64>, bool)> {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::namespaced_with(stage.client.clone(), &stage.namespace, &resource);
    let route = api.get(APP).await.unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&route.data["spec"]["rules"])
        .iter()
        .map(|rule| {
            let weights = list(&rule["backendRefs"])
                .iter()
                .map(|backend| backend["weight"].as_i64().expect("a weight"))
                .collect();
            let mirrors = list(&rule["filters"])
                .iter()
                .any(|filter| filter["type"] == "RequestMirror");
            (weights, mirrors)
        })
        .collect()
}

/// Breaks a pod after the first iteration, and tells the story to its end. `midway` looks at the routes in the middle.
async fn breaks_in_mid_analysis(stage: &Stage, analysis: Value, provider: &'static str, midway: impl AsyncFn()) {
    let app = App {
        deadline: 30,
        analysis,
        provider,
        labels: json!({"plane.curfew.dev/crashes": "off"}),
        ..App::default()
    };
    let mut deployment = app.deployment();
    // One of two may be missing, as one of four may by default: Flagger itself waits for ever.
    deployment["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": 1}});
    stage.install_with(&deployment, &app.canary()).await;
    stage.push("ready").await;
    stage
        .until("the analysis advanced", 60, |seen| {
            (seen.canary["status"]["iterations"] == 1).then_some(())
        })
        .await;
    midway().await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "crash").await;
    let verdict = stage.rolled_back(60).await;
    let reason = assert_verdict(&verdict, "rollback", "confirmed");
    assert!(
        reason.starts_with(&format!("1 of 2 pods not ready: {pod} container app: ")),
        "{reason}"
    );
    stage.replicas(APP, 0).await;
    stage.replicas("web-primary", 2).await;
}

#[tokio::test]
async fn blue_green_with_mirrored_traffic_is_rolled_back_in_mid_analysis() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "mirror").await;
    let analysis = json!({"interval": "10s", "threshold": 3, "iterations": 2, "mirror": true});
    breaks_in_mid_analysis(&stage, analysis, "gatewayapi:v1", async || {
        assert_eq!(rules(&stage).await, [(vec![100, 0], true)], "traffic is mirrored");
    })
    .await;
    assert_eq!(rules(&stage).await, [(vec![100, 0], false)]);
    stage.next_version_is_analysed().await;
}

#[tokio::test]
async fn an_a_b_test_is_rolled_back_in_mid_analysis() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "a-b").await;
    let analysis = json!({
        "interval": "10s",
        "threshold": 3,
        "iterations": 2,
        "match": [{"headers": {"x-canary": {"exact": "insider"}}}],
    });
    breaks_in_mid_analysis(&stage, analysis, "gatewayapi:v1", async || {
        // The first rule is for insiders, the second for everybody else.
        assert_eq!(rules(&stage).await, [(vec![0, 100], false), (vec![100], false)]);
    })
    .await;
    assert_eq!(rules(&stage).await, [(vec![100, 0], false), (vec![100], false)]);
    stage.next_version_is_analysed().await;
}
