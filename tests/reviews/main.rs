//! What the webhook answers to reviews that a real API server sent: `tests/corpus/reviews`.
//!
//! `CURFEW_UPDATE_GOLDEN=1` writes the answers anew; the reviews themselves are recorded by the end-to-end test
//! `recorded_reviews`.

#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of tests fail as tests do")]

#[path = "../../core/tests/properties/any_json.rs"]
mod any_json;
#[allow(dead_code, reason = "one test writes what another reads")]
mod filler;
#[path = "../../core/tests/properties/hostile.rs"]
mod hostile;
mod invariants;
mod properties;
#[allow(dead_code, reason = "other tests ask it more")]
#[path = "../../core/tests/properties/invariants.rs"]
mod sound;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use curfew::{
    cluster::{policies::InForce, watch::Namespaces},
    policy::Policies,
    rules::lookup::NoLookup,
    serve::{
        identity::Identity,
        metrics::{AdmissionMetrics, Registry},
        shutdown::Stopping,
        webhook::{self, Webhook},
    },
};
use http_body_util::BodyExt as _;
use k8s_openapi::ByteString;
use kube::runtime::reflector;
use serde_json::{Value, json};
use tower::ServiceExt as _;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/reviews")
}

/// The recorded reviews, by name, with everything that was left out of the file.
fn reviews() -> Vec<(String, Value)> {
    let entries = fs::read_dir(folder()).expect("the reviews");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("a review");
        let mut review = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        filler::expand(&mut review);
        (name, review)
    };
    files.iter().map(read).collect()
}

/// The answer to a review as people read it: a patch is decoded, and the time in it left out.
async fn answer(path: &str, review: &Value) -> Value {
    let (namespaces, _writer) = reflector::store();
    let router = webhook::router(Webhook {
        policies: InForce::new(Policies::default()),
        lookup: Arc::new(NoLookup),
        namespaces: Namespaces(namespaces),
        identity: Identity::known("system:serviceaccount:curfew-system:curfew"),
        metrics: AdmissionMetrics::new(Registry::new().inner()),
        stopping: Stopping::default(),
    });
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(review.to_string()))
        .expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
    let response = &mut answer["response"];
    assert_eq!(response["uid"], review["request"]["uid"]);
    if response["patch"].is_string() {
        let ByteString(changes) = serde_json::from_value(response["patch"].take()).expect("base64");
        response["patch"] = serde_json::from_slice(&changes).expect("a patch");
        without_time(&mut response["patch"]);
    }
    answer
}

fn without_time(patch: &mut Value) {
    for operation in patch.as_array_mut().expect("operations") {
        if operation["path"] == "/metadata/annotations/curfew.dev~1started-at" {
            operation["value"] = json!("NOW");
        } else if operation["path"] == "/metadata/annotations" {
            operation["value"]["curfew.dev/started-at"] = json!("NOW");
        }
    }
}

#[tokio::test]
async fn each_recorded_review_gets_its_answers() {
    let update = env::var_os("CURFEW_UPDATE_GOLDEN").is_some_and(|set| set == "1");
    let reviews = reviews();
    for (name, review) in &reviews {
        let answers =
            json!({"/mutate": answer("/mutate", review).await, "/validate": answer("/validate", review).await});
        let golden = folder().join(format!("answers/{name}.json"));
        if update {
            fs::write(&golden, format!("{answers:#}\n")).expect("written");
        }
        let text = fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        let expected: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            answers, expected,
            "{name}: CURFEW_UPDATE_GOLDEN=1 writes the answers anew"
        );
    }
    let answered = fs::read_dir(folder().join("answers")).expect("the answers").count();
    assert_eq!(answered, reviews.len(), "one answer a review");
    assert!(answered >= 15, "only {answered} reviews");
}

#[tokio::test]
async fn the_largest_reviews_are_as_large_as_they_were() {
    let size = |wanted: &str| {
        let reviews = reviews();
        let (_, review) = reviews.iter().find(|(name, _)| name == wanted).expect("the review");
        review.to_string().len()
    };
    assert!((2_200_000..2_300_000).contains(&size("update-of-2.2-mb")));
    assert!((3_000_000..3_100_000).contains(&size("update-of-3.0-mb")));
}
