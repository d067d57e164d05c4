//! What Curfew keeps on a Canary is Curfew's: nobody forges it, and nobody is disturbed by it.

use serde_json::{Value, json};
use testbed::Handle;

use crate::{
    kubectl::Kubectl,
    planes,
    stage::{APP, App, Stage},
};

/// A Canary that somebody wrote stamps into.
fn forged() -> Value {
    let mut canary = App::default().canary();
    canary["metadata"]["annotations"] = json!({
        "team": "shop",
        "curfew.dev/rollout-deadline": "2h",
        "curfew.dev/started-at": "2020-01-01T00:00:00Z",
        "curfew.dev/deadline": "2099-01-01T00:00:00Z",
        "curfew.dev/verdict": "{}",
        "curfew.dev/no-such-stamp": "x",
    });
    canary
}

fn kubectl<'a>(plane: &'a Handle, stage: &'a Stage) -> Kubectl<'a> {
    Kubectl {
        plane,
        user: "admin",
        namespace: &stage.namespace,
    }
}

/// A Canary's annotations, without kubectl's own.
fn annotations(json: &str) -> Value {
    let mut canary: Value = serde_json::from_str(json).expect(json);
    let mut annotations = canary["metadata"]["annotations"].take();
    annotations
        .as_object_mut()
        .unwrap()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations
}

#[tokio::test]
async fn stamps_cannot_be_forged_and_disturb_nobody() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "stamps").await;
    let kubectl = kubectl(&plane, &stage);
    let before = curfew::cluster::clock::now();

    // A dry run shows what would be stored.
    let shown = kubectl
        .apply(&forged(), &["--dry-run=server", "--output=json"])
        .await
        .done();
    let shown = annotations(&shown);
    assert_eq!(shown.as_object().unwrap().len(), 3, "{shown}");
    assert_eq!(shown["team"], "shop");
    assert_eq!(shown["curfew.dev/rollout-deadline"], "2h");
    let started_at = shown["curfew.dev/started-at"].as_str().unwrap();
    let age = curfew::cluster::clock::now().duration_since(started_at.parse().unwrap());
    assert!(age.as_secs() <= 10, "started at {started_at}");
    assert!(
        !kubectl.run(&["get", "canary", APP]).await.done,
        "a dry run stores nothing"
    );

    // So does the request itself.
    let created = kubectl.apply(&forged(), &["--output=json"]).await.done();
    let created = annotations(&created);
    assert_eq!(created.as_object().unwrap().len(), 3, "{created}");
    let started_at: jiff::Timestamp = created["curfew.dev/started-at"].as_str().unwrap().parse().unwrap();
    assert!(started_at.as_second() >= before.as_second(), "{started_at}");

    // What an update does to stamps is undone, and nothing else is. Curfew itself names the next deadline meanwhile.
    let stored = async || {
        let mut stored = annotations(&kubectl.run(&["get", "canary", APP, "--output=json"]).await.done());
        for own in ["curfew.dev/clock", "curfew.dev/deadline"] {
            stored.as_object_mut().unwrap().remove(own);
        }
        stored
    };
    kubectl.apply(&forged(), &[]).await.done();
    assert_eq!(stored().await, created);
    for change in [
        ["curfew.dev/started-at=2020-01-01T00:00:00Z", "team=store"],
        ["curfew.dev/started-at-", "curfew.dev/rollout-deadline=3h"],
        ["curfew.dev/verdict={}", "curfew.dev/rollout-deadline-"],
    ] {
        let args = [&["annotate", "canary", APP, "--overwrite"], change.as_slice()].concat();
        kubectl.run(&args).await.done();
        assert_eq!(
            stored().await["curfew.dev/started-at"],
            created["curfew.dev/started-at"],
            "{change:?}"
        );
    }
    assert_eq!(
        stored().await,
        json!({"team": "store", "curfew.dev/started-at": created["curfew.dev/started-at"]})
    );
    kubectl.run(&["delete", "canary", APP]).await.done();
}

#[tokio::test]
async fn applying_a_canary_twice_changes_nothing() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "twice").await;
    let kubectl = kubectl(&plane, &stage);
    let canary = App::default().canary();
    assert_eq!(
        kubectl.apply(&canary, &[]).await.done(),
        "canary.flagger.app/web created"
    );
    assert_eq!(
        kubectl.apply(&canary, &[]).await.done(),
        "canary.flagger.app/web unchanged"
    );
    kubectl.run(&["delete", "canary", APP]).await.done();
}
