//! The admin listener: health checks and metrics, in plain HTTP.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use axum_server::Handle;
use parking_lot::Mutex;

use super::{
    metrics::{Registry, Shared},
    readiness::Readiness,
};

/// What the text of the metrics is.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until the handle says otherwise.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    registry: Registry,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let app = router(readiness, Arc::new(Mutex::new(registry)));
    axum_server::from_tcp(listener)?
        .handle(handle)
        .serve(app.into_make_service())
        .await
}

/// The admin pages.
pub fn router(readiness: Readiness, registry: Shared) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn readyz(State(readiness): State<Readiness>, Query(query): Query<HashMap<String, String>>) -> Response {
    let missing = readiness.missing();
    let (status, summary) = if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", missing.join(", ")),
        )
    };
    let text = if query.contains_key("verbose") {
        readiness.verbose() + &summary
    } else {
        summary
    };
    (status, text).into_response()
}

async fn metrics(State(registry): State<Shared>) -> Response {
    match registry.lock().text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
