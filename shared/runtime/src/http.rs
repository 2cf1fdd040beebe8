//! HTTP of a process: liveness, readiness, metrics, and `/invoke`.
//!
//! Whoever can reach the port may send what he likes: connections, headers, bodies and calls have limits, so that none of
//! it stops the work. What is served to anybody holds no secret.

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
use xact_contracts::redaction::redact_text;
use xact_telemetry::health::Health;
use xact_telemetry::metrics;

/// The port cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} cannot be opened: {error}; set METRICS_PORT (--metrics-port) to a free port, or to 0 for any, and METRICS_ADDRESS to an address of this machine"
)]
pub struct PortError {
    address: SocketAddr,
    error: std::io::Error,
}

#[derive(Clone)]
struct App {
    health: Health,
    workers: Arc<Vec<Arc<Worker>>>,
    invoke_token: Option<SecretString>,
    invocations: Arc<Semaphore>,
}

/// Opens the port.
///
/// # Errors
/// When it is taken or not allowed.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, PortError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| PortError { address, error })
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    workers: Vec<Arc<Worker>>,
    invoke_token: Option<SecretString>,
    stop: CancellationToken,
) {
    let app = App {
        health,
        workers: Arc::new(workers),
        invoke_token,
        invocations: Arc::new(Semaphore::new(invoke_route::MOST_AT_ONCE)),
    };
    connections::serve(listener, router(app), connections::Limits::default(), stop).await;
}

fn router(app: App) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route(
            "/metrics",
            get(|| async { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render()) }),
        )
        .route("/invoke", post(invoke_route::only))
        .route("/invoke/{worker}", post(invoke_route::named))
        .with_state(app)
}

async fn live(State(app): State<App>) -> Response {
    let stuck = app.health.stuck();
    let status = status(stuck.is_empty());
    (status, Json(json!({ "live": stuck.is_empty(), "stuck": stuck }))).into_response()
}

async fn ready(State(app): State<App>) -> Response {
    // A reason quotes what a library said, and libraries like to quote URLs.
    let reasons: BTreeMap<String, Value> = app
        .health
        .not_ready()
        .into_iter()
        .map(|(component, reason)| (component, redact_text(&reason).into()))
        .collect();
    let status = status(reasons.is_empty());
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

const fn status(is_well: bool) -> StatusCode {
    if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
