//! Curfew without a permission to see what it needs, on a real API server. That it says what is missing and does what it
//! still can, for every single permission, is in `tests/faults/permissions.rs`.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use testbed::{Component, CurfewOptions, Handle};

use crate::{planes, stage::Stage};

/// Takes a permission away.
async fn without(stage: &Stage, resource: &str, verb: &str) {
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
}

async fn permit(stage: &Stage, rules: &[PolicyRule]) {
    let api: Api<ClusterRole> = Api::all(stage.client.clone());
    let patch = Patch::Merge(json!({"rules": rules}));
    api.patch("curfew", &PatchParams::default(), &patch).await.unwrap();
}

async fn admin_page(plane: &Handle, path: &str) -> (u16, String) {
    testbed::get(&format!("{}{path}", plane.curfew_admin_url()))
        .await
        .expect(path)
}

#[tokio::test]
async fn one_that_may_not_see_what_it_needs_is_not_ready_says_why_and_stays() {
    let options = planes::bare(Some(CurfewOptions::default()));
    let Some(plane) = planes::own(options).await else {
        return;
    };
    let stage = Stage::open(&plane, "permissions").await;
    let api: Api<ClusterRole> = Api::all(stage.client.clone());
    let all = api.get("curfew").await.unwrap().rules.unwrap();
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
            let (status, text) = testbed::get(&url).await.ok()?;
            (status == 503 && text.contains(&format!("[-]{resource} ")) && text.contains("forbidden")).then_some(())
        })
        .await;
    assert_eq!(admin_page(&stage.plane, "/livez").await.0, 200);
    permit(stage, all).await;
}
