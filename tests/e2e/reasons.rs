//! Every verdict says why, in one line that an application team can act on: which pod, which container, the reason in
//! Kubernetes' own word, exit code, restarts and the last message; how many pods have the same trouble; and what keeps
//! pods from being created at all.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use testbed::Handle;

use crate::{
    curfew_says::assert_verdict,
    planes,
    stage::{App, Stage},
};

const DEADLINE: i64 = 30;

/// Brings an application onto the stage for whose Deployment any number of pods may be missing: otherwise Flagger's own
/// clock would run too (`docs/flagger.md#f6`), and might be first.
async fn install(stage: &Stage) {
    let app = App {
        deadline: DEADLINE,
        ..App::default()
    };
    let mut deployment = app.deployment();
    deployment["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": "100%"}});
    stage.install_with(&deployment, &app.canary()).await;
}

async fn told(stage: &Stage, outcome: &str) -> String {
    stage.push(outcome).await;
    stage.phase("Progressing", 30).await;
    let verdict = stage.rolled_back(60).await;
    let reason = assert_verdict(&verdict, "rollback", "confirmed");
    let event = stage.event("DeadlineExceeded").await;
    assert!(event.ends_with(&format!(": {reason}")), "{event}");
    reason
}

/// Two pods with one trouble: the reason names one of them, which is cut out, and counts the other.
async fn two_pods(plane: &Handle, outcome: &str, expected: &str) {
    let stage = Stage::open(plane, &format!("why-{outcome}")).await;
    install(&stage).await;
    let reason = told(&stage, outcome).await;
    let rest = reason.strip_prefix("2 of 2 pods not ready: web-").expect(&reason);
    let (_, said) = rest.split_once(" and 1 more ").expect(&reason);
    // For a moment after each exit it is in Error, before it is in back-off.
    let said = said.replace("container app: Error, ", "container app: CrashLoopBackOff, ");
    // The stand-in's back-off counts restarts, and time decides how many there were.
    let digits = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    assert_eq!(digits(&said), digits(expected), "{reason}");
}

/// A quota that has room for one pod more than there are.
async fn quota(plane: &Handle) {
    let stage = Stage::open(plane, "why-quota").await;
    install(&stage).await;
    stage.replicas("web-primary", 2).await;
    let hard = json!({"pods": "3"});
    stage
        .create(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": hard},
        }))
        .await;
    // Counting is a controller's work, which the plane does without; the API server goes on from what is counted.
    let quotas: Api<ResourceQuota> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let status = Patch::Merge(json!({"status": {"hard": hard, "used": {"pods": "2"}}}));
    quotas
        .patch_status("tight", &PatchParams::default(), &status)
        .await
        .unwrap();
    let reason = told(&stage, "ready").await;
    assert!(reason.starts_with("pods cannot be created: pods \"web-"), "{reason}");
    assert!(
        reason.ends_with(" is forbidden: exceeded quota: tight, requested: pods=1, used: pods=3, limited: pods=3"),
        "{reason}"
    );
}

#[tokio::test]
async fn the_reason_is_one_line_that_names_what_is_wrong() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(
        two_pods(
            &plane,
            "crash",
            "container app: CrashLoopBackOff, exit code 1, 2 restarts, \
             \"fatal: app cannot go on (exit 1, as plane.curfew.dev/outcome asks)\"",
        ),
        quota(&plane),
    );
}
