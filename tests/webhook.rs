//! The webhook's listener: every request gets a proper answer, whatever it is.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

use std::{net::TcpListener, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use curfew::{
    cluster::{policies::InForce, watch::Namespaces},
    policy::{Policies, file},
    rules::lookup::NoLookup,
    serve::{
        identity::Identity,
        metrics::{AdmissionMetrics, Registry},
        shutdown::Stopping,
        tls::Certificate,
        webhook::{self, Webhook},
    },
};
use http_body_util::BodyExt as _;
use kube::runtime::{reflector, watcher};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const CURFEW: &str = "system:serviceaccount:curfew-system:curfew";

fn webhook(policies: &str) -> Webhook {
    let (namespaces, _writer) = reflector::store();
    let policies: Policies = file::parse(policies, &curfew::rules::vocabulary()).expect("policies");
    Webhook {
        policies: InForce::new(policies),
        lookup: Arc::new(NoLookup),
        namespaces: Namespaces(namespaces),
        identity: Identity::known(CURFEW),
        metrics: AdmissionMetrics::new(Registry::new().inner()),
        stopping: Stopping::default(),
    }
}

fn router() -> Router {
    webhook::router(webhook(""))
}

async fn send(request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let response = router().oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, body.to_vec())
}

async fn post(path: &str, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
    send(
        Request::post(path)
            .header("content-type", "application/json")
            .body(body.into())
            .expect("a request"),
    )
    .await
}

fn review(spec: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5", "operation": "CREATE", "namespace": "shop", "name": "web",
        "resource": {"group": "flagger.app", "version": "v1beta1", "resource": "canaries"},
        "userInfo": {"username": "jane"},
        "object": {"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec},
        "oldObject": null, "dryRun": false}})
}

fn sound() -> Value {
    json!({"progressDeadlineSeconds": 180, "service": {"port": 80}, "analysis": {"interval": "30s", "threshold": 5, "iterations": 3}})
}

async fn answer(path: &str, review: &Value) -> Value {
    let (status, body) = post(path, review.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    answer["response"].clone()
}

#[tokio::test]
async fn a_sound_canary_is_let_through() {
    let answer = answer("/validate", &review(&sound())).await;
    assert_eq!((&answer["allowed"], &answer["warnings"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn a_poisonous_one_is_refused_with_every_field_named() {
    let mut spec = sound();
    spec["progressDeadlineSeconds"] = json!(180.5);
    spec["analysis"]["threshold"] = json!(2.5);
    let answer = answer("/validate", &review(&spec)).await;
    assert_eq!(answer["allowed"], false);
    let status = &answer["status"];
    assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
    let fields: Vec<_> = status["details"]["causes"]
        .as_array()
        .expect("causes")
        .iter()
        .map(|cause| &cause["field"])
        .collect();
    assert_eq!(fields, ["spec.analysis.threshold", "spec.progressDeadlineSeconds"]);
    assert_eq!(
        answer["auditAnnotations"]["findings"],
        "undecodable=Enforce,undecodable=Enforce"
    );
}

#[tokio::test]
async fn a_new_canary_is_stamped_and_curfews_own_writes_are_not_undone() {
    assert_eq!(answer("/mutate", &review(&sound())).await["patchType"], "JSONPatch");
    let mut own = review(&sound());
    own["request"]["operation"] = json!("UPDATE");
    own["request"]["oldObject"] = own["request"]["object"].clone();
    own["request"]["object"]["metadata"]["annotations"] = json!({"curfew.dev/clock": "readiness"});
    assert_eq!(answer("/mutate", &own).await["patchType"], "JSONPatch");
    own["request"]["userInfo"]["username"] = json!(CURFEW);
    assert_eq!(answer("/mutate", &own).await["patchType"], Value::Null);
}

#[tokio::test]
async fn what_is_no_review_gets_a_reason_and_no_panic() {
    let nested = "[".repeat(7 << 20);
    let truncated = review(&sound()).to_string()[..200].to_owned();
    let mut old = review(&sound());
    old["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let mut nameless = review(&sound());
    nameless["request"]["uid"] = Value::Null;
    for path in ["/validate", "/mutate"] {
        for body in [
            String::new(),
            truncated.clone(),
            nested.clone(),
            "\u{0}".to_owned(),
            json!({"kind": "Pod", "apiVersion": "v1"}).to_string(),
            old.to_string(),
            nameless.to_string(),
        ] {
            let shown: String = body.chars().take(60).collect();
            let (status, text) = post(path, body).await;
            let text = String::from_utf8(text).expect("text");
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {shown}: {text}");
            assert!(text.contains("AdmissionReview"), "{path} {shown}: {text}");
        }
    }
}

#[tokio::test]
async fn invalid_utf8_is_no_review_either() {
    let (status, _) = post("/validate", vec![0xff, 0xfe]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_of_the_largest_canary_is_read_and_a_larger_one_refused() {
    let mut large = review(&sound());
    large["request"]["object"]["metadata"]["annotations"] = json!({"big": "x".repeat(6 << 20)});
    assert_eq!(answer("/validate", &large).await["allowed"], true);
    let (status, _) = post("/validate", "x".repeat((7 << 20) + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let get = Request::builder()
        .method(Method::GET)
        .uri("/validate")
        .body(Body::empty())
        .expect("a request");
    assert_eq!(send(get).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post("/conversion", "{}").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_gets_an_answer_that_is_tried_again() {
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post("/validate?timeout=1s").body(never).expect("a request");
    let response = router().oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a_stopping_server_closes_its_connections() {
    let webhook = webhook("");
    let stopping = webhook.stopping.clone();
    let router = webhook::router(webhook);
    let waiting = tokio::spawn(async move { stopping.until_quiet().await });
    tokio::task::yield_now().await;
    let request = Request::post("/validate")
        .body(Body::from(review(&sound()).to_string()))
        .expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(
        (response.status(), &response.headers()["connection"]),
        (StatusCode::OK, &"close".parse().expect("a value"))
    );
    waiting.await.expect("quiet in the end");
}

#[tokio::test]
async fn tls_is_spoken_with_both_http_versions_in_offer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("nonblocking");
    let addr = listener.local_addr().expect("an address");
    let certificate = Certificate::self_made("curfew-system", addr.ip()).expect("a certificate");
    assert_eq!(
        certificate.config.alpn_protocols,
        [b"h2".to_vec(), b"http/1.1".to_vec()]
    );
    let mut roots = rustls::RootCertStore::empty();
    let authority: rustls::pki_types::CertificateDer<'_> =
        rustls::pki_types::pem::PemObject::from_pem_slice(certificate.ca_bundle.as_bytes()).expect("PEM");
    roots.add(authority).expect("an authority");

    let handle = axum_server::Handle::new();
    let server = tokio::spawn(webhook::serve(listener, certificate, webhook(""), handle.clone()));
    let exchange = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = addr.ip().into();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
        let mut socket = std::net::TcpStream::connect(addr).expect("connected");
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        let body = review(&sound()).to_string();
        write!(
            stream,
            "POST /validate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    });
    let answer = exchange.await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"allowed\":true"),
        "{answer}"
    );
    handle.shutdown();
    server.await.expect("joined").expect("served");
}

#[tokio::test]
async fn a_namespace_that_was_not_seen_yet_is_asked_about_again_where_its_labels_matter() {
    let policy = |selector: &str| {
        format!(
            "apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\n\
             spec: {{namespaceSelector: {{matchLabels: {{{selector}}}}}, admission: {{mode: Disabled}}}}\n"
        )
    };
    let poison = review(&json!({"progressDeadlineSeconds": 5}));
    let asked = async |selector: &str, path: &str, seen: bool, poison: &Value| {
        let (namespaces, mut writer) = reflector::store();
        if seen {
            let namespace = json!({"metadata": {"name": "shop", "labels": {"env": "test"}}});
            let namespace = serde_json::from_value(namespace).expect("a namespace");
            writer.apply_watcher_event(&watcher::Event::Apply(namespace));
        }
        let webhook = Webhook {
            namespaces: Namespaces(namespaces),
            ..webhook(&policy(selector))
        };
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(poison.to_string()))
            .expect("a request");
        let response = webhook::router(webhook).oneshot(request).await.expect("an answer");
        let again = response.headers().contains_key("retry-after");
        (response.status().as_u16(), again)
    };
    for path in ["/validate", "/mutate"] {
        assert_eq!(asked("env: test", path, false, &poison).await, (503, true), "{path}");
        assert_eq!(asked("env: test", path, true, &poison).await, (200, false), "{path}");
        // Its name is known.
        assert_eq!(
            asked("kubernetes.io/metadata.name: shop", path, false, &poison).await,
            (200, false)
        );
        // Of what is on its way out, and of what leaves the spec alone, there is nothing to judge.
        let mut leaving = poison.clone();
        leaving["request"]["object"]["metadata"]["deletionTimestamp"] = json!("2026-11-29T04:00:00Z");
        assert_eq!(asked("env: test", path, false, &leaving).await, (200, false));
        let mut untouched = poison.clone();
        untouched["request"]["operation"] = json!("UPDATE");
        untouched["request"]["oldObject"] = untouched["request"]["object"].clone();
        assert_eq!(asked("env: test", path, false, &untouched).await, (200, false));
    }
}
