//! The webhook: the API server's reviews, over TLS.
//!
//! A body that is no review gets a 400 with the reason, which the API server takes for a failed call; more work than
//! there is room for gets a 429 with `Retry-After`, on which it tries again within the same admission call, and so does a
//! Canary of which it is not known yet which policy holds, with a 503.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{DefaultBodyLimit, FromRequest, Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use axum_server::{
    Handle,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use super::{identity::Identity, metrics::AdmissionMetrics, shutdown::Stopping, tls::Certificate};
use crate::{
    admission::{
        mutate::mutate,
        review::{self, Answer, Operation},
        validate::{asks, validate},
    },
    cluster::{clock, policies::InForce, watch::Namespaces},
    policy::{Mode, Policies},
    rules::Lookup,
};

/// The largest review: controller-runtime's figure. The largest Canary that etcd stores needs 3 MB of it.
const LARGEST_BODY: usize = 7 << 20;
/// The bodies that are held at the same time, in KiB.
const ROOM: usize = 64 << 10;
/// The most that one body counts for, in KiB; a larger one is refused when it is read.
const MOST_OF_ROOM: u32 = 7 << 10;
/// What the API server gives a webhook that sets no `timeout`.
const DEFAULT_BUDGET: Duration = Duration::from_secs(10);
/// What is kept of the budget to send the answer.
const TO_ANSWER: Duration = Duration::from_millis(250);
/// How long a connection may take to ask for the first time.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// hyper's header timer also runs on idle connections, and the API server keeps those for 90 s.
const IDLE: Duration = Duration::from_mins(2);

/// What the webhook answers from.
#[derive(Clone)]
pub struct Webhook {
    /// The policies in force.
    pub policies: InForce,
    /// What the rules know beyond the Canary.
    pub lookup: Arc<dyn Lookup + Send + Sync>,
    /// Whose labels policies select by.
    pub namespaces: Namespaces,
    /// Who Curfew itself is.
    pub identity: Identity,
    /// What is counted.
    pub metrics: AdmissionMetrics,
    /// Whether connections should be closed.
    pub stopping: Stopping,
}

/// What the API server hears while it is to ask again: the namespace was made a moment ago.
const TOO_EARLY: &str = "Curfew has not seen this namespace yet, by whose labels policies are chosen\n";

/// Serves until the handle says otherwise.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    certificate: Certificate,
    webhook: Webhook,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    // Neither axum nor axum-server sets TCP_NODELAY by itself; without it every answer may wait 40 ms.
    let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(certificate.config)).acceptor(NoDelayAcceptor::new());
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle)
        .first_request_timeout(FIRST_REQUEST);
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    server.serve(router(webhook).into_make_service()).await
}

// === impl Webhook ===

impl Webhook {
    /// Whether nobody can say yet which policy holds, where it matters. It is told and counted.
    fn is_too_early(
        &self,
        webhook: &'static str,
        request: &review::Request,
        policies: &Policies,
        begun: Instant,
    ) -> bool {
        let namespace = &request.namespace;
        let is_too_early = asks(request) && policies.select_by_labels() && !self.namespaces.has_seen(namespace);
        if is_too_early {
            let name = &request.name;
            tracing::warn!(
                webhook,
                namespace,
                name,
                uid = request.uid,
                "asked to ask again: this namespace is not known yet, by whose labels policies are chosen"
            );
            self.metrics
                .answered(webhook, operation(request.operation), "again", begun.elapsed());
        }
        is_too_early
    }
}

/// The webhook's paths.
pub fn router(webhook: Webhook) -> Router {
    let room = Arc::new(Semaphore::new(ROOM));
    let stopping = webhook.stopping.clone();
    Router::new()
        .route("/validate", post(answer_validate))
        .route("/mutate", post(answer_mutate))
        .with_state(webhook)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(move |request, next| {
            within_bounds(Arc::clone(&room), request, next)
        }))
        .layer(middleware::from_fn(move |request, next| {
            closing(stopping.clone(), request, next)
        }))
        .layer(CatchPanicLayer::new())
}

/// A review, read from a request.
struct Asked(review::Request);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        match review::parse(&body) {
            Ok(request) => Ok(Self(request)),
            Err(error) => {
                tracing::warn!(%error, bytes = body.len(), "a request that is no review");
                Err((StatusCode::BAD_REQUEST, format!("{error}\n")).into_response())
            }
        }
    }
}

async fn answer_validate(State(webhook): State<Webhook>, Asked(request): Asked) -> Response {
    let begun = Instant::now();
    let policies = webhook.policies.current();
    if webhook.is_too_early("validate", &request, &policies, begun) {
        return again(StatusCode::SERVICE_UNAVAILABLE, TOO_EARLY);
    }
    let labels = webhook.namespaces.labels(&request.namespace);
    let decision = validate(&request, &policies, &labels, &*webhook.lookup, clock::now());
    for (finding, mode) in &decision.findings {
        webhook.metrics.found(finding.rule, *mode);
    }
    let decided = match &decision.answer {
        Answer::Deny { message, .. } => {
            let (policy, user) = (&decision.policy, &request.user_info.username);
            let (namespace, name) = (&request.namespace, &request.name);
            let dry_run = request.dry_run.unwrap_or_default();
            tracing::info!(
                namespace,
                name,
                uid = request.uid,
                dry_run,
                policy,
                user,
                why = message,
                "refused a Canary"
            );
            "deny"
        }
        Answer::Allow { .. } if decision.findings.iter().any(|(_, mode)| *mode == Mode::Warn) => "warn",
        Answer::Allow { .. } | Answer::Patch { .. } => "allow",
    };
    webhook
        .metrics
        .answered("validate", operation(request.operation), decided, begun.elapsed());
    Json(request.answer(decision.answer).into_json()).into_response()
}

async fn answer_mutate(State(webhook): State<Webhook>, Asked(request): Asked) -> Response {
    let begun = Instant::now();
    // The configuration leaves Curfew's own writes out; should it ever not, undoing them would be a circle.
    let own = webhook.identity.is(&request.user_info.username);
    let policies = webhook.policies.current();
    if !own && webhook.is_too_early("mutate", &request, &policies, begun) {
        return again(StatusCode::SERVICE_UNAVAILABLE, TOO_EARLY);
    }
    let answer = if own {
        Answer::allow()
    } else {
        let labels = webhook.namespaces.labels(&request.namespace);
        mutate(&request, &policies, &labels, clock::now())
    };
    let decided = if matches!(answer, Answer::Patch { .. }) {
        "patch"
    } else {
        "allow"
    };
    webhook
        .metrics
        .answered("mutate", operation(request.operation), decided, begun.elapsed());
    Json(request.answer(answer).into_json()).into_response()
}

const fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

/// Answers within the time that the caller gives, and only as much at once as there is room for.
async fn within_bounds(room: Arc<Semaphore>, request: Request, next: Next) -> Response {
    let kibibytes = request
        .body()
        .size_hint()
        .upper()
        .unwrap_or(LARGEST_BODY as u64)
        .div_ceil(1024);
    let wanted = u32::try_from(kibibytes).unwrap_or(u32::MAX).clamp(1, MOST_OF_ROOM);
    let Ok(_held) = room.try_acquire_many(wanted) else {
        return again(
            StatusCode::TOO_MANY_REQUESTS,
            "more reviews at once than there is room for\n",
        );
    };
    let budget = budget(&request).saturating_sub(TO_ANSWER);
    match tokio::time::timeout(budget, next.run(request)).await {
        Ok(response) => response,
        Err(_) => again(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer within the time that was given\n",
        ),
    }
}

fn again(status: StatusCode, text: &'static str) -> Response {
    (
        status,
        [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")],
        text,
    )
        .into_response()
}

/// The API server says how long it waits: `?timeout=5s`, in whole seconds.
fn budget(request: &Request) -> Duration {
    Query::<HashMap<String, String>>::try_from_uri(request.uri())
        .ok()
        .and_then(|query| query.get("timeout")?.strip_suffix('s')?.parse().ok())
        .map_or(DEFAULT_BUDGET, Duration::from_secs)
        .clamp(Duration::from_secs(1), Duration::from_secs(30))
}

/// Closes connections while the server stops, so that the next request goes to another replica.
async fn closing(stopping: Stopping, request: Request<Body>, next: Next) -> Response {
    let close = stopping.note_request();
    let mut response = next.run(request).await;
    if close {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
