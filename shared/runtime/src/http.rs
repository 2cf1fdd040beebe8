//! HTTP of a process: liveness, readiness, metrics, and `/invoke`.
//!
//! Clients are not trusted: connections, headers, bodies and calls have limits, so that no client stops the work. The
//! responses without authentication contain no secret.

mod connections;
mod invoke_route;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;
use invoke_route::HttpState;
use xact_contracts::redaction::redact_text;
use xact_telemetry::health::Health;
use xact_telemetry::metrics;

/// The port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} cannot be opened: {error}; set METRICS_PORT (--metrics-port) to a free port, or to 0 for any, and METRICS_ADDRESS to an address of this machine"
)]
pub struct PortError {
    address: SocketAddr,
    error: std::io::Error,
}

/// Opens the port.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, PortError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| PortError { address, error })
}

/// Serves an app until `stop`, within the limits on connections and headers of this process's HTTP.
pub async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    connections::serve(listener, app, connections::Limits::default(), stop).await;
}

/// Serves health, metrics and `/invoke` until `stop`.
pub(crate) async fn serve_process(
    listener: TcpListener,
    health: Health,
    workers: Vec<Arc<Worker>>,
    invoke_token: Option<SecretString>,
    stop: CancellationToken,
) {
    let state = HttpState {
        health,
        workers: Arc::new(workers),
        invoke_token,
        invocations: Arc::new(Semaphore::new(invoke_route::MAX_CALLS)),
    };
    serve(listener, router(state), stop).await;
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route(
            "/metrics",
            get(|| async { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render()) }),
        )
        .route("/invoke", post(invoke_route::only))
        .route("/invoke/{worker}", post(invoke_route::named))
        .with_state(state)
}

async fn live(State(state): State<HttpState>) -> Response {
    let stuck = state.health.stuck();
    let status = status(stuck.is_empty());
    (status, Json(json!({ "live": stuck.is_empty(), "stuck": stuck }))).into_response()
}

async fn ready(State(state): State<HttpState>) -> Response {
    // A reason may quote an error of a library, which may contain a URL with a secret.
    let reasons: BTreeMap<String, Value> = state
        .health
        .not_ready()
        .into_iter()
        .map(|(component, reason)| (component, redact_text(&reason).into()))
        .collect();
    let status = status(reasons.is_empty());
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

const fn status(is_ok: bool) -> StatusCode {
    if is_ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
