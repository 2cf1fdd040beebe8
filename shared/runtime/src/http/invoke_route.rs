//! `POST /invoke`, which requires a token, and limits everything that the caller controls.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::invoke::{self, InvokeError};
use crate::worker::Worker;
use xact_contracts::redaction::redact_text;
use xact_telemetry::health::Health;

/// Largest body, the limit of AWS Lambda.
const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;
/// A body of the largest size needs less than 2 Mbit/s to arrive in time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest call, the limit of AWS Lambda. The caller must send unfinished records again.
const CALL_TIMEOUT: Duration = Duration::from_secs(900);
/// Most concurrent calls, because each holds a body and its records in memory.
pub(super) const MAX_CALLS: usize = 8;

/// The state that all requests share.
#[derive(Clone)]
pub(super) struct HttpState {
    pub(super) health: Health,
    pub(super) workers: Arc<Vec<Arc<Worker>>>,
    pub(super) invoke_token: Option<SecretString>,
    /// Limits concurrent calls of `/invoke`.
    pub(super) invocations: Arc<Semaphore>,
}

/// Serves `/invoke`, for a process with workers of one stage.
pub(super) async fn only(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CallError> {
    let _permit = admit(&state, &headers)?;
    let first = state.workers.first().ok_or(CallError::Absent)?;
    if state.workers.iter().any(|worker| worker.stage != first.stage) {
        return Err(CallError::Ambiguous);
    }
    call(first, body).await
}

/// Serves `/invoke/{worker}`.
pub(super) async fn named(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CallError> {
    let _permit = admit(&state, &headers)?;
    let worker = state.workers.iter().find(|worker| worker.stage.name() == name);
    call(worker.ok_or(CallError::NoSuchWorker)?, body).await
}

/// Checks the token and the number of calls, before the body is read.
fn admit<'a>(state: &'a HttpState, headers: &HeaderMap) -> Result<SemaphorePermit<'a>, CallError> {
    let expected = state.invoke_token.as_ref().ok_or(CallError::Absent)?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // In constant time, so that the duration does not reveal a correct prefix of the token.
    if !bool::from(given.as_bytes().ct_eq(expected.expose_secret().as_bytes())) {
        return Err(CallError::Unauthorized);
    }
    state.invocations.try_acquire().map_err(|_| CallError::Busy)
}

async fn call(worker: &Arc<Worker>, body: Body) -> Result<Response, CallError> {
    let body = read_body(body).await?;
    let records = invoke::records(&body)?;
    drop(body);
    let (service, context) = worker.service().ok_or(CallError::NotRunning)?;
    let identifiers = invoke::identifiers(&records);
    let finished = timeout(CALL_TIMEOUT, service.0.invoke(context, records)).await;
    let finished = finished.map_err(|_| CallError::Unfinished)?;
    Ok(Json(invoke::response(identifiers, &finished)).into_response())
}

async fn read_body(body: Body) -> Result<Bytes, CallError> {
    // A body with too large a Content-Length is rejected without reading it.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(CallError::Body);
    }
    let body = timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES));
    body.await.map_err(|_| CallError::Slow)?.map_err(|_| CallError::Body)
}

/// Why a call does not reach the handler, or does not finish.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// No token is configured, or no worker runs: the route does not exist.
    #[error("not found")]
    Absent,
    #[error("send the token of INVOKE_TOKEN: Authorization: Bearer …")]
    Unauthorized,
    #[error("{MAX_CALLS} invocations run already: try again later")]
    Busy,
    #[error("several workers run here: post to /invoke/{{worker}}")]
    Ambiguous,
    #[error("no such worker runs here")]
    NoSuchWorker,
    #[error("the body is incomplete, or has more than {MAX_BODY_BYTES} bytes: send smaller batches")]
    Body,
    #[error("the body did not arrive within {} s", BODY_TIMEOUT.as_secs())]
    Slow,
    #[error(transparent)]
    Unreadable(#[from] InvokeError),
    #[error("the worker is not running: see /health/ready")]
    NotRunning,
    #[error("not finished within {} s: send the records again, in smaller batches", CALL_TIMEOUT.as_secs())]
    Unfinished,
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Absent => return StatusCode::NOT_FOUND.into_response(),
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Ambiguous | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchWorker => StatusCode::NOT_FOUND,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::NotRunning => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unfinished => StatusCode::GATEWAY_TIMEOUT,
        };
        // The text may quote the request.
        let text = redact_text(&self.to_string());
        let mut response = (status, Json(json!({ "error": text }))).into_response();
        let hint = match self {
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::Busy => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = hint {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
