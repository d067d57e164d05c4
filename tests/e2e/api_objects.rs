//! Curfew never stands in the way of what the API server does with Canaries: whole namespaces are deleted, finalizers
//! removed, objects applied again and again; and when no Curfew runs, what is documented happens and nothing else.

use std::time::Instant;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{Component, CurfewOptions, Handle, Options};

use crate::{
    admission_policy, corpus,
    kubectl::Kubectl,
    planes::{self, eventually},
    stage::App,
};

const VIOLATING: usize = 300;
const AT_ONCE: usize = 32;
const HOLD: &str = "example.com/hold";

fn sound(name: &str) -> Value {
    let mut canary = App {
        deadline: 180,
        ..App::default()
    }
    .canary();
    canary["metadata"]["name"] = json!(name);
    canary["spec"]["targetRef"]["name"] = json!(name);
    canary
}

async fn canaries(plane: &Handle, namespace: &str) -> Api<DynamicObject> {
    let client = plane.client("admin").await.unwrap();
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind))
}

fn kubectl<'a>(plane: &'a Handle, namespace: &'a str) -> Kubectl<'a> {
    Kubectl {
        plane,
        user: "admin",
        namespace,
    }
}

#[tokio::test]
async fn a_namespace_full_of_canaries_that_would_be_refused_can_be_deleted() {
    // A controller ends namespaces.
    let options = Options {
        flagger: false,
        ..Options::default()
    };
    let Some(plane) = planes::own(options).await else {
        return;
    };
    let client = plane.client("admin").await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    let full = serde_json::from_value(json!({"metadata": {"name": "full"}})).unwrap();
    namespaces.create(&PostParams::default(), &full).await.unwrap();
    let all = &canaries(&plane, "full").await;
    let created = futures::stream::iter(0..VIOLATING).map(|number| async move {
        let mut canary = sound(&format!("web-{number}"));
        canary["spec"]["progressDeadlineSeconds"] = json!([Value::Null, json!(5), json!(180.5)][number % 3]);
        if number == 0 {
            canary["metadata"]["finalizers"] = json!([HOLD]);
        }
        let canary = serde_json::from_value(canary).unwrap();
        all.create(&PostParams::default(), &canary).await.map(drop)
    });
    let created: Vec<_> = created.buffer_unordered(AT_ONCE).collect().await;
    assert!(created.iter().all(Result::is_ok), "{created:?}");

    plane.restart_curfew_with(&CurfewOptions::default()).await.unwrap();
    admission_policy::install(&plane).await;
    let tenants = canaries(&plane, "tenant").await;
    admission_policy::in_force(&tenants).await;
    let mut late = sound("late");
    late["spec"]["progressDeadlineSeconds"] = json!(5);
    kubectl(&plane, "full").apply(&late, &[]).await.refused();

    let begun = Instant::now();
    namespaces.delete("full", &DeleteParams::default()).await.unwrap();
    let left = eventually("only the one that is held is left", 120, async || {
        let left = all.list(&ListParams::default()).await.unwrap().items;
        (left.len() == 1).then_some(left)
    })
    .await;
    assert_eq!(left[0].metadata.name.as_deref(), Some("web-0"));
    let patch = json!({"metadata": {"finalizers": null}}).to_string();
    kubectl(&plane, "full")
        .run(&["patch", "canary", "web-0", "--type=merge", "--patch", &patch])
        .await
        .done();
    eventually("the namespace is gone", 60, async || {
        namespaces.get_opt("full").await.unwrap().is_none().then_some(())
    })
    .await;
    eprintln!(
        "{VIOLATING} Canaries and their namespace were deleted in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

#[tokio::test]
async fn what_is_applied_again_and_again_stays_as_it_is() {
    let Some(plane) = planes::quiet().await else { return };
    let kubectl = kubectl(&plane, "tenant");
    for (name, how) in [("by-the-server", &["--server-side"][..]), ("by-kubectl", &[])] {
        let canary = sound(name);
        kubectl.apply(&canary, how).await.done();
        let version = async || {
            kubectl
                .run(&["get", "canary", name, "-o", "jsonpath={.metadata.resourceVersion}"])
                .await
                .done()
        };
        let annotation = async |key: &str| {
            let path = format!("jsonpath={{.metadata.annotations.curfew\\.dev/{key}}}");
            kubectl.run(&["get", "canary", name, "-o", &path]).await.done()
        };
        let stamped = async || annotation("started-at").await;
        // The enforcer writes a moment after the API server has answered.
        eventually("it carries the next deadline", 30, async || {
            (!annotation("deadline").await.is_empty()).then_some(())
        })
        .await;
        let (first, started) = (version().await, stamped().await);
        assert!(!started.is_empty(), "{name}: it is stamped");
        for _ in 0..2 {
            kubectl.apply(&canary, how).await.done();
        }
        assert_eq!((version().await, stamped().await), (first, started.clone()), "{name}");
        let args = [&["diff", "-f", "-"], how].concat();
        let difference = kubectl.input(&args, &canary.to_string()).await;
        assert!(difference.done && difference.out.is_empty(), "{name}: {difference:?}");

        // A change of the user's own goes through, and takes nothing away that is ours.
        let mut changed = canary.clone();
        changed["spec"]["analysis"]["threshold"] = json!(4);
        kubectl.apply(&changed, how).await.done();
        assert_eq!(stamped().await, started, "{name}");
        let difference = kubectl.input(&args, &changed.to_string()).await;
        assert!(difference.done && difference.out.is_empty(), "{name}: {difference:?}");
    }
    // The stamp belongs to nobody's manifest: whoever applies owns what is in it.
    let owned = canaries(&plane, "tenant").await.get("by-the-server").await.unwrap();
    let owned = owned.metadata.managed_fields.unwrap();
    let appliers: Vec<_> = owned
        .iter()
        .filter(|entry| entry.operation.as_deref() == Some("Apply"))
        .collect();
    assert_eq!(appliers.len(), 1, "{owned:#?}");
    let fields = serde_json::to_string(&appliers[0].fields_v1).unwrap();
    assert!(
        fields.contains("f:progressDeadlineSeconds") && !fields.contains("curfew.dev"),
        "{fields}"
    );
}

#[tokio::test]
async fn without_curfew_what_is_documented_happens() {
    let options = planes::bare(Some(CurfewOptions::default()));
    let Some(plane) = planes::own(options).await else {
        return;
    };
    let kubectl = kubectl(&plane, "tenant");
    kubectl.apply(&sound("web"), &[]).await.done();
    admission_policy::install(&plane).await;
    let canaries = canaries(&plane, "tenant").await;
    admission_policy::in_force(&canaries).await;
    plane.kill(Component::Curfew).unwrap();

    // The policy in the API server still refuses what it can state.
    for case in corpus::canaries("refused") {
        let said = admission_policy::refusal(&canaries, &case.canary)
            .await
            .unwrap_or_default();
        assert!(said.contains(&format!("[{}]", case.file)), "{}: {said}", case.name());
    }
    // What it lets through nobody has validated: that fails closed.
    for said in [
        kubectl.apply(&sound("new"), &[]).await.refused(),
        patch(&kubectl, &json!({"spec": {"analysis": {"threshold": 4}}}))
            .await
            .refused(),
        patch(
            &kubectl,
            &json!({"metadata": {"annotations": {"curfew.dev/rollout-deadline": "2h"}}}),
        )
        .await
        .refused(),
    ] {
        assert!(
            said.contains("failed calling webhook \"validate.curfew.dev\""),
            "{said}"
        );
    }
    // Everything that it is not asked about goes on, and mutation fails open.
    for change in [
        json!({"metadata": {"labels": {"team": "shop"}}}),
        json!({"metadata": {"annotations": {"team": "shop"}}}),
        json!({"metadata": {"annotations": {"curfew.dev/deadline": "2099-01-01T00:00:00Z"}}}),
        json!({"metadata": {"finalizers": [HOLD]}}),
    ] {
        patch(&kubectl, &change).await.done();
    }
    kubectl.run(&["delete", "canary", "web", "--wait=false"]).await.done();
    patch(&kubectl, &json!({"metadata": {"finalizers": null}})).await.done();
    assert!(!kubectl.run(&["get", "canary", "web"]).await.done, "it is gone");

    // Back again, everything is as before.
    plane.restart(Component::Curfew).await.unwrap();
    kubectl.apply(&sound("new"), &[]).await.done();
}

async fn patch(kubectl: &Kubectl<'_>, change: &Value) -> crate::kubectl::Said {
    let change = change.to_string();
    kubectl
        .run(&["patch", "canary", "web", "--type=merge", "--patch", &change])
        .await
}
