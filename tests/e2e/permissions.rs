//! Curfew without one of its permissions: it says what is missing, does what it still can, and never falls over.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use plane::{Component, Handle, Options};
use serde_json::json;

use crate::{
    planes,
    stage::{App, Stage},
};

/// Takes a permission away, and answers what there was before.
async fn without(stage: &Stage, resource: &str, verb: &str) -> Vec<PolicyRule> {
    let api: Api<ClusterRole> = Api::all(stage.client.clone());
    let before = api.get("curfew").await.unwrap().rules.unwrap();
    let mut rules = before.clone();
    for rule in &mut rules {
        if rule
            .resources
            .as_ref()
            .is_some_and(|resources| resources.iter().any(|it| it == resource))
        {
            rule.verbs.retain(|it| it != verb);
        }
    }
    rules.retain(|rule| !rule.verbs.is_empty());
    assert_ne!(rules, before, "{verb} {resource}");
    permit(stage, &rules).await;
    before
}

async fn permit(stage: &Stage, rules: &[PolicyRule]) {
    let api: Api<ClusterRole> = Api::all(stage.client.clone());
    let patch = Patch::Merge(json!({"rules": rules}));
    api.patch("curfew", &PatchParams::default(), &patch).await.unwrap();
}

async fn admin_page(plane: &Handle, path: &str) -> (u16, String) {
    plane::get(&format!("{}{path}", plane.curfew_admin_url()))
        .await
        .expect(path)
}

/// Waits for a line of Curfew's log that has all these words.
async fn logged(stage: &Stage, words: &[&str]) {
    stage
        .eventually(&format!("Curfew logs {words:?}"), 15, async || {
            let log = std::fs::read_to_string(stage.plane.log("curfew")).unwrap();
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_missing_permission_is_told_and_nothing_falls_over() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let app = App {
        pods: 4,
        deadline: 15,
        ..App::default()
    };
    let stage = Stage::open(&plane, "permissions").await;
    stage.install(&app).await;

    // Without the permission to look at pods nobody can say why, and nothing is done; with it again, all is.
    let all = without(&stage, "pods", "list").await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    logged(
        &stage,
        &["judging without the target's pods", "forbidden", &stage.namespace],
    )
    .await;
    stage
        .until("the verdict is withheld", 25, |seen| seen.verdict_with("withheld"))
        .await;
    stage
        .never("it was acted upon without its pods", 10, |seen| {
            seen.verdict_with("requested").is_some()
        })
        .await;
    assert_eq!(admin_page(&plane, "/livez").await.0, 200);
    permit(&stage, &all).await;
    // To Curfew the rollout is one that it found running: Flagger may look once more first.
    stage
        .until("Flagger is handed the verdict", 25, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    stage.phase("Failed", 20).await;
    stage
        .until("the rollback is confirmed", 15, |seen| seen.verdict_with("confirmed"))
        .await;

    // Without the permission to stamp, deadlines hold and Events tell, and nothing is written down.
    let before = stage.now();
    without(&stage, "canaries", "patch").await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    logged(
        &stage,
        &["cannot write the Canary's stamp", "forbidden", &stage.namespace],
    )
    .await;
    stage.phase("Failed", 45).await;
    assert_eq!(stage.now().stamp("verdict"), before.stamp("verdict"));
    assert_eq!(admin_page(&plane, "/livez").await.0, 200);
    assert_eq!(admin_page(&plane, "/readyz").await.0, 200);
    permit(&stage, &all).await;
    stage
        .until("what was not written down is", 15, |seen| {
            (seen.stamp("verdict") != before.stamp("verdict")).then(|| seen.verdict_with("confirmed"))?
        })
        .await;

    // A Curfew that may not see Canaries or policies is not ready, says why, and stays until it may.
    for resource in ["canaries", "canarypolicies"] {
        for verb in ["list", "watch"] {
            without(&stage, resource, verb).await;
        }
        tokio::join!(
            async { plane.restart(Component::Curfew).await.unwrap() },
            not_ready_until_permitted(&stage, &all, resource),
        );
        assert!(plane.runs(Component::Curfew), "the same process");
    }
}

async fn not_ready_until_permitted(stage: &Stage, all: &[PolicyRule], resource: &str) {
    stage
        .eventually("it says what is missing", 15, async || {
            let url = format!("{}/readyz?verbose", stage.plane.curfew_admin_url());
            let (status, text) = plane::get(&url).await.ok()?;
            (status == 503 && text.contains(&format!("[-]{resource} ")) && text.contains("forbidden")).then_some(())
        })
        .await;
    assert_eq!(admin_page(&stage.plane, "/livez").await.0, 200);
    permit(stage, all).await;
}
