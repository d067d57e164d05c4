//! What is stored already is judged again when something changes that the rules look at: here the target, which no review
//! is ever about.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use crate::{
    curfew_says::Metrics,
    kubectl::Kubectl,
    planes,
    policies::Here,
    stage::{APP, App, Stage},
};

/// So often it is looked for the Event before the target is changed once more.
const LOOKS: usize = 20;

async fn told(stage: &Stage, words: &str) -> bool {
    let events = Api::<Event>::namespaced(stage.client.clone(), &stage.namespace);
    let all = events.list(&ListParams::default()).await.unwrap().items;
    all.iter().any(|event| {
        event.reason.as_deref() == Some("PolicyFinding")
            && event.note.as_deref().is_some_and(|note| note.contains(words))
    })
}

#[tokio::test]
async fn a_target_that_loses_its_probes_is_told_of() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "audit").await;
    let app = App::default();
    stage.create(&app.deployment()).await;
    stage.create(&app.canary()).await;
    let containers = |deployment: &Value| {
        json!({"template": {"spec": {"containers":
        deployment["spec"]["template"]["spec"]["containers"]}}})
    };
    let with_probes = containers(&app.deployment());
    let mut bare = app.deployment();
    let container = &mut bare["spec"]["template"]["spec"]["containers"][1];
    *container = json!({"name": "app", "image": "app:1"});
    let bare = containers(&bare);
    // What was so when Curfew first saw the Canary is no news: the change must come after that, and is made until it did.
    stage
        .eventually("the missing probe is told", 60, async || {
            stage.change_target(&bare).await;
            for _ in 0..LOOKS {
                if told(&stage, "no container of Deployment web has a readiness probe").await {
                    return Some(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            stage.change_target(&with_probes).await;
            // Changes that come together are judged together: this one must be seen for itself.
            tokio::time::sleep(Duration::from_secs(2)).await;
            None
        })
        .await;
}

#[tokio::test]
async fn a_canary_that_is_pointed_elsewhere_leaves_its_neighbour_without_a_finding() {
    // With Flagger or a clock at work there is always something new about a Canary, and it is judged again for that.
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "audit-left").await;
    let spec = json!({"precedence": 4, "admission": {"mode": "Audit"}, "enforcement": {"mode": "Disabled"}});
    Here::on(&stage).write("left", &spec).await;
    let policy = format!("left-{}", stage.namespace);
    let series = format!("curfew_audit_findings{{rule=\"duplicate-target\",policy=\"{policy}\"}}");
    let found = async |expected: f64| {
        let found = Metrics::of(&plane).await.value(&series);
        (found.to_bits() == expected.to_bits()).then_some(())
    };
    let kubectl = Kubectl {
        plane: &plane,
        user: "admin",
        namespace: &stage.namespace,
    };
    let point = async |target: &str| {
        let patch = json!({"spec": {"targetRef": {"name": target}}}).to_string();
        let patch = ["patch", "canary", "other", "--type=merge", "--patch", &patch];
        kubectl.run(&patch).await.done();
    };
    stage.create(&App::default().canary()).await;
    let mut other = App::default().canary();
    other["metadata"]["name"] = json!("other");
    // The webhook may not have seen the policy yet.
    stage
        .eventually("the other Canary is let in", 5, async || {
            kubectl.apply(&other, &[]).await.done.then_some(())
        })
        .await;
    stage
        .eventually("each is in the other's way", 20, async || found(2.0).await)
        .await;
    point("elsewhere").await;
    stage
        .eventually("neither is any more", 20, async || found(0.0).await)
        .await;
    point(APP).await;
    stage.eventually("each is again", 20, async || found(2.0).await).await;
}
