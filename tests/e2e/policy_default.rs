//! A deadline is filled in where the policy has one for those who set none, and nobody who applies the same again sees a
//! difference: neither with the default nor when it is switched off again.

use serde_json::{Value, json};

use crate::{
    kubectl::Kubectl,
    planes,
    policies::Here,
    stage::{APP, App, Stage},
};

/// What the policy fills in.
const DEFAULT: i64 = 300;

fn without_deadline() -> Value {
    let mut canary = App::default().canary();
    canary["spec"]
        .as_object_mut()
        .unwrap()
        .remove("progressDeadlineSeconds");
    canary
}

/// Applies the same twice and looks for a difference, in one of kubectl's two ways; answers the stored object.
async fn applied_twice(kubectl: &Kubectl<'_>, canary: &Value, way: &[&str]) -> Value {
    let mut versions = Vec::new();
    for _ in 0..2 {
        kubectl.apply(canary, way).await.done();
        let stored = kubectl
            .run(&["get", "canary", APP, "-o", "json", "--show-managed-fields"])
            .await
            .done();
        versions.push(serde_json::from_str::<Value>(&stored).unwrap());
    }
    let [before, after] = &versions[..] else { unreachable!() };
    assert_eq!(
        before["metadata"]["generation"], after["metadata"]["generation"],
        "applying the same again changed the spec"
    );
    let difference = kubectl.on(canary, &[&["diff"], way].concat()).await;
    assert_eq!((difference.done, difference.out.as_str()), (true, ""), "{difference:?}");
    after.clone()
}

/// Who owns the deadline, by the API server's records.
fn owners(canary: &Value) -> Vec<&str> {
    let entries = canary["metadata"]["managedFields"].as_array().unwrap().iter();
    entries
        .filter(|entry| !entry["fieldsV1"]["f:spec"]["f:progressDeadlineSeconds"].is_null())
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect()
}

async fn plays(way: &[&str], story: &str) {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, story).await;
    let kubectl = Kubectl {
        plane: &plane,
        user: "admin",
        namespace: &stage.namespace,
    };
    stage.create(&App::default().deployment()).await;
    let here = Here::on(&stage);
    let bounds = |default: Option<&str>| {
        let mut spec = json!({"precedence": 5, "admission": {"deadline": {"min": "10s"}}});
        if let Some(default) = default {
            spec["admission"]["deadline"]["default"] = default.into();
        }
        spec
    };
    let canary = without_deadline();

    // With the default: filled in, owned by nobody, and the same again makes no difference.
    here.write("default", &bounds(Some("5m"))).await;
    stage
        .eventually("the default is in force", 15, async || {
            kubectl
                .apply(&canary, &[way, &["--dry-run=server"]].concat())
                .await
                .done
                .then_some(())
        })
        .await;
    let stored = applied_twice(&kubectl, &canary, way).await;
    assert_eq!(stored["spec"]["progressDeadlineSeconds"], DEFAULT);
    assert_eq!(owners(&stored), [""; 0]);

    // Who takes the field away gets it again.
    let take_away = [
        "patch",
        "canary",
        APP,
        "--type=merge",
        "-p",
        "{\"spec\":{\"progressDeadlineSeconds\":null}}",
    ];
    kubectl.run(&take_away).await.done();
    assert_eq!(
        applied_twice(&kubectl, &canary, way).await["spec"]["progressDeadlineSeconds"],
        DEFAULT
    );

    // Without it again: what was filled in stays, the same again makes no difference, and other changes pass.
    here.write("default", &bounds(None)).await;
    stage
        .eventually("the default is off", 15, async || {
            let dry_run = [&take_away[..], &["--dry-run=server"]].concat();
            (!kubectl.run(&dry_run).await.done).then_some(())
        })
        .await;
    let stored = applied_twice(&kubectl, &canary, way).await;
    assert_eq!(stored["spec"]["progressDeadlineSeconds"], DEFAULT);
    let mut changed = canary.clone();
    changed["spec"]["analysis"]["threshold"] = 7.into();
    let stored = applied_twice(&kubectl, &changed, way).await;
    assert_eq!(stored["spec"]["progressDeadlineSeconds"], DEFAULT);
    // Only who takes the field away is refused.
    let refused = kubectl.run(&take_away).await.refused();
    assert!(refused.contains("[deadline-required]"), "{refused}");
}

#[tokio::test]
async fn a_default_makes_no_difference_to_client_side_apply() {
    plays(&[], "default-client").await;
}

#[tokio::test]
async fn a_default_makes_no_difference_to_server_side_apply() {
    plays(&["--server-side"], "default-server").await;
}
