//! What users are told when a Canary cannot work, as they see it: through the real kubectl.

use serde_json::{Value, json};

use crate::{
    kubectl::Kubectl,
    planes,
    stage::{APP, App, Stage},
};

/// A Canary with another deadline and interval.
fn canary(deadline: &Value, interval: &str) -> Value {
    let mut canary = App::default().canary();
    canary["spec"]["progressDeadlineSeconds"] = deadline.clone();
    canary["spec"]["analysis"]["interval"] = interval.into();
    canary
}

const REQUIRED: &str = "spec.progressDeadlineSeconds: no deadline is set, so pods that never become ready are waited \
    for 600 s at least, and longer where they crash and restart; set it to a little more than your pods need to become \
    ready, such as 180 [deadline-required]";
const TOO_SHORT: &str = "spec.progressDeadlineSeconds: 5 s: the cluster's policy wants at least 10 s; write a whole number \
    from 10 to 3600 [deadline-bounds]";

#[tokio::test]
async fn a_canary_that_cannot_work_is_refused_with_everything_that_is_wrong() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "admission").await;
    let kubectl = Kubectl {
        plane: &plane,
        user: "admin",
        namespace: &stage.namespace,
    };
    let refused = kubectl.apply(&canary(&Value::Null, "10s"), &[]).await.refused();
    assert!(refused.contains(REQUIRED), "{refused}");
    assert!(refused.contains("The Canary \"web\" is invalid"), "{refused}");
    let refused = kubectl.apply(&canary(&json!(5), "5m30"), &[]).await.refused();
    assert!(
        refused.contains(TOO_SHORT) && refused.contains("spec.analysis.interval: "),
        "{refused}"
    );
    assert!(!kubectl.run(&["get", "canary", APP]).await.done, "nothing was stored");

    // What is fine is stored without a word, once the webhook's watch has shown its target.
    stage.create(&App::default().deployment()).await;
    stage
        .eventually("the webhook knows the Deployment", 10, async || {
            let said = kubectl.apply(&canary(&json!(30), "10s"), &["--dry-run=server"]).await;
            said.err.is_empty().then_some(())
        })
        .await;
    let said = kubectl.apply(&canary(&json!(30), "10s"), &[]).await;
    assert_eq!(
        (said.out.as_str(), said.err.as_str()),
        ("canary.flagger.app/web created", "")
    );
    // Once it is there, it cannot be made worse.
    let refused = kubectl.apply(&canary(&json!(5), "10s"), &[]).await.refused();
    assert!(refused.contains(TOO_SHORT), "{refused}");
    kubectl.run(&["delete", "canary", APP]).await.done();
}

#[tokio::test]
async fn an_exempt_namespace_is_let_off_from_everything_but_what_harms_others() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::alone(&plane, "admission").await;
    let kubectl = Kubectl {
        plane: &plane,
        user: "admin",
        namespace: &stage.namespace,
    };
    // A dry run, since Flagger would have to live with what is stored.
    let dry_run = ["--dry-run=server"];
    let said = kubectl.apply(&canary(&json!(5), "5m30"), &dry_run).await;
    assert_eq!(said.err, "");
    said.done();
    let refused = kubectl.apply(&canary(&json!(180.5), "10s"), &dry_run).await.refused();
    assert!(refused.contains("Flagger cannot decode 180.5"), "{refused}");
}
