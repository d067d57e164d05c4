//! The reviews in `tests/corpus/reviews` are what a real API server sends. `CURFEW_UPDATE_GOLDEN=1` records them anew.

use std::{
    collections::BTreeMap,
    env, fs,
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, routing::post};
use axum_server::tls_rustls::RustlsConfig;
use curfew::serve::tls::Certificate;
use k8s_openapi::{ByteString, api::core::v1::Namespace};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::Options;

use crate::{filler, kubectl::Kubectl, planes, stage::App};

/// Everything that was asked, in order.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Value>>>);

// === impl Recorder ===

impl Recorder {
    /// Listens, and is registered for everything that is done to Canaries.
    async fn start(client: &Client) -> Self {
        let recorder = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let certificate = Certificate::self_made("recorder", addr.ip()).unwrap();
        let router = Router::new()
            .route("/", post(keep))
            .layer(axum::extract::DefaultBodyLimit::max(7 << 20))
            .with_state(recorder.clone());
        let config = RustlsConfig::from_config(certificate.config);
        let server = axum_server::from_tcp_rustls(listener, config).unwrap();
        tokio::spawn(server.serve(router.into_make_service()));

        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration");
        let configurations: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "recorder"},
            "webhooks": [{
                "name": "recorder.curfew.dev",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": format!("https://{addr}/"), "caBundle": ByteString(certificate.ca_bundle.into_bytes())},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "rules": [{"apiGroups": ["flagger.app"], "apiVersions": ["v1beta1"], "operations": ["*"], "resources": ["canaries"]}],
            }],
        });
        let configuration = serde_json::from_value(configuration).unwrap();
        configurations
            .create(&PostParams::default(), &configuration)
            .await
            .unwrap();
        recorder
    }

    /// What was asked since the last time.
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// What was asked last. An update is asked about again when the API server finds that its cache was behind.
    fn one(&self) -> Value {
        self.take().pop().expect("a review")
    }
}

async fn keep(State(Recorder(kept)): State<Recorder>, Json(review): Json<Value>) -> Json<Value> {
    let uid = review["request"]["uid"].clone();
    kept.lock().unwrap().push(review);
    Json(
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": uid, "allowed": true}}),
    )
}

/// Names for what differs from one recording to the next.
#[derive(Default)]
struct Unstable {
    uids: BTreeMap<String, usize>,
}

// === impl Unstable ===

impl Unstable {
    fn normalise(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), &*member) {
                        ("uid", Value::String(uid)) => *member = json!(self.uid(uid)),
                        ("resourceVersion", Value::String(_)) => *member = json!("1"),
                        ("creationTimestamp" | "deletionTimestamp" | "time", Value::String(_)) => {
                            *member = json!("2026-11-23T14:00:00Z");
                        }
                        ("authentication.kubernetes.io/credential-id", _) => *member = json!(["X509SHA256=0"]),
                        _ => self.normalise(member),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.normalise(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn uid(&mut self, uid: &str) -> String {
        let next = self.uids.len() + 1;
        let number = self.uids.entry(uid.to_owned()).or_insert(next);
        format!("00000000-0000-4000-8000-{number:012}")
    }
}

/// The API server has chosen a name before it asks.
fn name_generated(request: &mut Value) {
    if let Some(prefix) = request["object"]["metadata"]["generateName"].as_str() {
        let name = json!(format!("{prefix}00000"));
        request["object"]["metadata"]["name"] = name.clone();
        request["name"] = name;
    }
}

/// A Canary of this name that the rules have nothing to say against.
fn canary(name: &str) -> Value {
    let mut canary = App {
        deadline: 180,
        ..App::default()
    }
    .canary();
    canary["metadata"]["name"] = json!(name);
    canary
}

/// The same with a query of so many bytes.
fn canary_with(name: &str, filler: usize) -> Value {
    let mut canary = canary(name);
    canary["spec"]["analysis"]["metrics"] = json!([{"name": "load", "interval": "30s", "query": "x".repeat(filler)}]);
    canary
}

const HOLD: &str = "example.com/hold";

#[tokio::test]
async fn the_recorded_reviews_are_what_the_api_server_sends() {
    let options = Options {
        flagger: false,
        ..Options::default()
    };
    let Some(plane) = planes::own(options).await else {
        return;
    };
    let client = plane.client("admin").await.unwrap();
    let recorder = Recorder::start(&client).await;
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    let resource = ApiResource::from_gvk(&kind);
    let canaries: Api<DynamicObject> = Api::namespaced_with(client.clone(), "tenant", &resource);
    planes::eventually("it is asked", 20, async || {
        create(&canaries, &canary("probe"), true).await;
        (!recorder.take().is_empty()).then_some(())
    })
    .await;

    let mut kept: Vec<(&str, Value)> = Vec::new();
    create(&canaries, &canary("web"), true).await;
    kept.push(("create-as-a-dry-run", recorder.one()));
    create(&canaries, &canary("web"), false).await;
    kept.push(("create", recorder.one()));
    let mut poison = canary("poison");
    poison["spec"]["progressDeadlineSeconds"] = json!(180.5);
    create(&canaries, &poison, false).await;
    kept.push(("create-poison", recorder.one()));
    let mut pointed = canary("pointed");
    pointed["spec"]["progressDeadlineSeconds"] = json!(180.0);
    create(&canaries, &pointed, true).await;
    kept.push(("create-with-a-point", recorder.one()));
    let mut unnamed = canary("");
    unnamed["metadata"] = json!({"generateName": "web-"});
    create(&canaries, &unnamed, true).await;
    kept.push(("create-with-a-generated-name", recorder.one()));
    let mut restored = canary("restored");
    restored["metadata"]["annotations"] =
        json!({"curfew.dev/deadline": "2099-01-01T00:00:00Z", "curfew.dev/rollout-deadline": "2h"});
    create(&canaries, &restored, false).await;
    kept.push(("create-from-a-backup", recorder.one()));

    kept.extend(
        applied(
            &recorder,
            Kubectl {
                plane: &plane,
                user: "tenant",
                namespace: "tenant",
            },
        )
        .await,
    );

    for (name, change) in [
        ("update-the-spec", json!({"spec": {"analysis": {"threshold": 4}}})),
        ("update-to-poison", json!({"spec": {"progressDeadlineSeconds": 180.5}})),
        ("update-a-label", json!({"metadata": {"labels": {"team": "shop"}}})),
        (
            "update-with-a-status-that-is-dropped",
            json!({"status": {"phase": "Succeeded"}, "metadata": {"labels": {"team": null}}}),
        ),
        (
            "update-what-is-curfews",
            json!({"metadata": {"annotations": {"curfew.dev/deadline": "2099-01-01T00:00:00Z"}}}),
        ),
        (
            "update-the-rollout-deadline",
            json!({"metadata": {"annotations": {"curfew.dev/rollout-deadline": "2 hours"}}}),
        ),
        ("update-the-finalizers", json!({"metadata": {"finalizers": [HOLD]}})),
    ] {
        update(&canaries, "web", &change).await;
        kept.push((name, recorder.one()));
    }
    update(&canaries, "poison", &json!({"spec": {"analysis": {"threshold": 4}}})).await;
    kept.push(("update-what-was-poison", recorder.one()));

    // Flagger's own writes, which no rule on `canaries` matches.
    let status = Patch::Merge(
        json!({"status": {"phase": "Initialized", "canaryWeight": 0, "iterations": 0, "failedChecks": 0}}),
    );
    canaries
        .patch_status("web", &PatchParams::default(), &status)
        .await
        .unwrap();
    assert_eq!(
        recorder.take(),
        Vec::<Value>::new(),
        "a write of the status is no business of a webhook"
    );

    canaries.delete("web", &DeleteParams::default()).await.unwrap();
    kept.push(("delete", recorder.one()));
    update(&canaries, "web", &json!({"metadata": {"finalizers": null}})).await;
    kept.push(("remove-the-last-finalizer", recorder.one()));

    for (name, filler) in [("update-of-2.2-mb", 1_110_000), ("update-of-3.0-mb", 1_510_000)] {
        create(&canaries, &canary_with("large", filler), false).await;
        recorder.take();
        update(&canaries, "large", &json!({"spec": {"analysis": {"threshold": 4}}})).await;
        kept.push((name, recorder.one()));
        canaries.delete("large", &DeleteParams::default()).await.unwrap();
        recorder.take();
    }

    kept.extend(in_a_namespace_that_goes(&recorder, &client, &resource).await);
    compare(kept);
}

async fn applied(recorder: &Recorder, kubectl: Kubectl<'_>) -> Vec<(&'static str, Value)> {
    let mut kept = Vec::new();
    kubectl.apply(&canary("applied"), &["--server-side"]).await.done();
    kept.push(("apply-on-the-server", recorder.one()));
    let mut changed = canary("applied");
    changed["spec"]["analysis"]["threshold"] = json!(4);
    kubectl.apply(&changed, &["--server-side"]).await.done();
    kept.push(("apply-on-the-server-again", recorder.one()));
    kubectl.apply(&canary("by-kubectl"), &[]).await.done();
    kept.push(("apply", recorder.one()));
    kept
}

/// What the namespace's controller asks for, and what is asked of what it waits for.
async fn in_a_namespace_that_goes(
    recorder: &Recorder,
    client: &Client,
    resource: &ApiResource,
) -> Vec<(&'static str, Value)> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let canaries: Api<DynamicObject> = Api::namespaced_with(client.clone(), "going", resource);
    let namespace = serde_json::from_value(json!({"metadata": {"name": "going"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let mut held = canary("held");
    held["metadata"]["finalizers"] = json!([HOLD]);
    create(&canaries, &held, false).await;
    recorder.take();
    namespaces.delete("going", &DeleteParams::default()).await.unwrap();
    let deleted = planes::eventually("the namespace's controller asks", 60, async || {
        recorder.take().into_iter().next()
    })
    .await;
    // The question comes before it is marked.
    planes::eventually("it is marked", 60, async || {
        canaries.get("held").await.unwrap().metadata.deletion_timestamp
    })
    .await;
    update(&canaries, "held", &json!({"metadata": {"finalizers": null}})).await;
    // The controller may have asked again meanwhile.
    let removed = recorder
        .take()
        .into_iter()
        .find(|review| review["request"]["operation"] == "UPDATE");
    vec![
        ("delete-with-the-namespace", deleted),
        (
            "remove-the-last-finalizer-in-a-namespace-that-goes",
            removed.expect("a review"),
        ),
    ]
}

async fn create(canaries: &Api<DynamicObject>, canary: &Value, dry_run: bool) {
    let params = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let object = serde_json::from_value(canary.clone()).unwrap();
    canaries.create(&params, &object).await.unwrap();
}

async fn update(canaries: &Api<DynamicObject>, name: &str, change: &Value) {
    canaries
        .patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
}

/// Writes the reviews, or compares them with those that are there.
fn compare(kept: Vec<(&str, Value)>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/reviews");
    let record = env::var_os("CURFEW_UPDATE_GOLDEN").is_some_and(|set| set == "1");
    let mut unstable = Unstable::default();
    for (name, mut review) in kept {
        unstable.normalise(&mut review);
        name_generated(&mut review["request"]);
        filler::shrink(&mut review);
        let path = folder.join(format!("{name}.json"));
        if record {
            fs::write(&path, format!("{review:#}\n")).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let before: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            review, before,
            "{name}: CURFEW_UPDATE_GOLDEN=1 records the reviews anew"
        );
    }
}
