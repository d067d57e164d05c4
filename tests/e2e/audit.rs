//! What is stored already is judged again when something changes that the rules look at: here the target, which no review
//! is ever about.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use crate::{
    planes,
    stage::{App, Stage},
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
