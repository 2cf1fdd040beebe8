//! `POST /invoke` behind its token, with a limit for everything that a caller decides.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::App;
use crate::invoke::{self, InvokeError};
use crate::worker::Worker;
use xact_contracts::redaction::redact_text;

/// Largest body: what Lambda hands over at most.
const MOST_BYTES: usize = 6 * 1024 * 1024;
/// A body of that size needs less than 2 Mbit/s to be in time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What Lambda gives a function at most. What was not finished then is the caller's to send again.
const CALL_TIMEOUT: Duration = Duration::from_secs(900);
/// Callers beyond these are told to come back: each may hold a body and its records.
pub(super) const MOST_AT_ONCE: usize = 8;

/// For a process with one kind of worker.
pub(super) async fn only(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    let _turn = admit(&app, &headers)?;
    let first = app.workers.first().ok_or(Refused::Absent)?;
    if app.workers.iter().any(|worker| worker.stage != first.stage) {
        return Err(Refused::Ambiguous);
    }
    call(first, body).await
}

/// For the worker of this name.
pub(super) async fn named(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let _turn = admit(&app, &headers)?;
    let worker = app.workers.iter().find(|worker| worker.stage.name() == name);
    call(worker.ok_or(Refused::NoSuchWorker)?, body).await
}

/// The caller's turn, or why there is none: before a byte of the body is read.
fn admit<'a>(app: &'a App, headers: &HeaderMap) -> Result<SemaphorePermit<'a>, Refused> {
    let expected = app.invoke_token.as_ref().ok_or(Refused::Absent)?;
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // In a time that does not tell how much of the token was right.
    if !bool::from(given.as_bytes().ct_eq(expected.expose_secret().as_bytes())) {
        return Err(Refused::Unauthorized);
    }
    app.invocations.try_acquire().map_err(|_| Refused::Busy)
}

async fn call(worker: &Arc<Worker>, body: Body) -> Result<Response, Refused> {
    let body = read(body).await?;
    let records = invoke::records(&body)?;
    drop(body);
    let (service, context) = worker.service().ok_or(Refused::NotRunning)?;
    let identifiers = invoke::identifiers(&records);
    let finished = timeout(CALL_TIMEOUT, service.invoke(context, records))
        .await
        .map_err(|_| Refused::Unfinished)?;
    Ok(Json(invoke::response(identifiers, &finished)).into_response())
}

async fn read(body: Body) -> Result<Bytes, Refused> {
    // What is announced need not come first.
    if body.size_hint().lower() > MOST_BYTES as u64 {
        return Err(Refused::Body);
    }
    let body = timeout(BODY_TIMEOUT, to_bytes(body, MOST_BYTES));
    body.await.map_err(|_| Refused::Slow)?.map_err(|_| Refused::Body)
}

/// Why a caller gets no answer of the handler.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// No token is configured, or nothing runs here: then there is nothing here.
    #[error("not found")]
    Absent,
    #[error("send the token of INVOKE_TOKEN: Authorization: Bearer …")]
    Unauthorized,
    #[error("{MOST_AT_ONCE} invocations run: come back when one has ended")]
    Busy,
    #[error("several workers run here: post to /invoke/{{worker}}")]
    Ambiguous,
    #[error("no such worker runs here")]
    NoSuchWorker,
    #[error("the body is cut short, or has more than {MOST_BYTES} bytes: send smaller batches")]
    Body,
    #[error("the body did not come within {} s", BODY_TIMEOUT.as_secs())]
    Slow,
    #[error(transparent)]
    Unreadable(#[from] InvokeError),
    #[error("the worker does not run now: see /health/ready")]
    NotRunning,
    #[error("not finished within {} s: send the records again, in smaller batches", CALL_TIMEOUT.as_secs())]
    Unfinished,
}

impl IntoResponse for Refused {
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
        // A text may quote the request.
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
