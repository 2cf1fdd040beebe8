//! HTTP of a process: liveness, readiness, metrics, and `/invoke`.

use crate::health::Health;
use crate::invoke;
use crate::metrics;
use crate::worker::Worker;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest body of `/invoke`: what Lambda hands over at most.
const INVOKE_BYTES: usize = 6 * 1024 * 1024;

/// The port cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("port {port} cannot be opened: {error}; set METRICS_PORT (--metrics-port) to a free one, or to 0 for any")]
pub struct PortError {
    port: u16,
    error: std::io::Error,
}

#[derive(Clone)]
struct App {
    health: Health,
    workers: Arc<Vec<Arc<Worker>>>,
    invoke_token: Option<SecretString>,
}

/// Opens the port.
///
/// # Errors
/// When it is taken or not allowed.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, PortError> {
    TcpListener::bind(address).await.map_err(|error| PortError {
        port: address.port(),
        error,
    })
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    workers: Vec<Arc<Worker>>,
    invoke_token: Option<SecretString>,
    stop: CancellationToken,
) {
    let app = router(App {
        health,
        workers: Arc::new(workers),
        invoke_token,
    });
    let served = axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server ended");
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route(
            "/metrics",
            get(|| async { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render()) }),
        )
        .route("/invoke", post(invoke_only))
        .route("/invoke/{worker}", post(invoke_named))
        .layer(DefaultBodyLimit::max(INVOKE_BYTES))
        .with_state(app)
}

async fn live(State(app): State<App>) -> Response {
    let stuck = app.health.stuck();
    let status = if stuck.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "live": stuck.is_empty(), "stuck": stuck }))).into_response()
}

async fn ready(State(app): State<App>) -> Response {
    let reasons = app.health.not_ready();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

async fn invoke_only(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(first) = app.workers.first().cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Some(refused) = refusal(&app, &headers) {
        return refused;
    }
    if app.workers.iter().any(|worker| worker.stage != first.stage) {
        return error(
            StatusCode::BAD_REQUEST,
            "several workers run here: post to /invoke/{worker}",
        );
    }
    call(&first, &body).await
}

async fn invoke_named(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = refusal(&app, &headers) {
        return refused;
    }
    match app.workers.iter().find(|worker| worker.stage.name() == name) {
        Some(worker) => call(worker, &body).await,
        None => error(StatusCode::NOT_FOUND, "no such worker runs here"),
    }
}

/// Why the caller may not invoke. 404 as long as no token is configured: then there is nothing here.
fn refusal(app: &App, headers: &HeaderMap) -> Option<Response> {
    let Some(expected) = &app.invoke_token else {
        return Some(StatusCode::NOT_FOUND.into_response());
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if same(given.as_bytes(), expected.expose_secret().as_bytes()) {
        return None;
    }
    let refused = error(
        StatusCode::UNAUTHORIZED,
        "send the token of INVOKE_TOKEN: Authorization: Bearer …",
    );
    Some(([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response())
}

/// Compares in a time that does not tell how much of the token was right.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(expected)
        .fold(0, |seen, (given, expected)| seen | (given ^ expected));
    given.len() == expected.len() && differences == 0
}

async fn call(worker: &Worker, body: &[u8]) -> Response {
    let records = match invoke::records(body) {
        Ok(records) => records,
        Err(refused) => return error(StatusCode::BAD_REQUEST, &refused.to_string()),
    };
    let Some((service, desk)) = worker.service() else {
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "the worker does not run now: see /health/ready",
        );
    };
    let identifiers = invoke::identifiers(&records);
    let finished = service.invoke(desk, records).await;
    Json(invoke::response(identifiers, &finished)).into_response()
}

fn error(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
