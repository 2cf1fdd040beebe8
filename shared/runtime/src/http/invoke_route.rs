//! `POST /invoke` behind its token, with a limit for everything that a caller decides.

use super::{App, error};
use crate::invoke;
use crate::worker::Worker;
use axum::Json;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

/// Largest body: what Lambda hands over at most.
const MOST_BYTES: usize = 6 * 1024 * 1024;
/// A body of that size needs less than 2 Mbit/s to be in time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What Lambda gives a function at most. What was not finished then is the caller's to send again.
const CALL_TIMEOUT: Duration = Duration::from_secs(900);
/// Callers beyond these are told to come back: each may hold a body and its records.
pub(super) const MOST_AT_ONCE: usize = 8;

/// For a process with one kind of worker.
pub(super) async fn only(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    let _turn = match admit(&app, &headers) {
        Ok(turn) => turn,
        Err(refused) => return refused,
    };
    match app.workers.first() {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(first) if app.workers.iter().any(|worker| worker.stage != first.stage) => error(
            StatusCode::BAD_REQUEST,
            "several workers run here: post to /invoke/{worker}",
        ),
        Some(first) => call(first, body).await,
    }
}

/// For the worker of this name.
pub(super) async fn named(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let _turn = match admit(&app, &headers) {
        Ok(turn) => turn,
        Err(refused) => return refused,
    };
    match app.workers.iter().find(|worker| worker.stage.name() == name) {
        Some(worker) => call(worker, body).await,
        None => error(StatusCode::NOT_FOUND, "no such worker runs here"),
    }
}

/// The caller's turn, or why there is none: before a byte of the body is read. 404 as long as no token is configured:
/// then there is nothing here.
fn admit<'a>(app: &'a App, headers: &HeaderMap) -> Result<SemaphorePermit<'a>, Response> {
    let Some(expected) = &app.invoke_token else {
        return Err(StatusCode::NOT_FOUND.into_response());
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // In a time that does not tell how much of the token was right.
    if !bool::from(given.as_bytes().ct_eq(expected.expose_secret().as_bytes())) {
        let refused = error(
            StatusCode::UNAUTHORIZED,
            "send the token of INVOKE_TOKEN: Authorization: Bearer …",
        );
        return Err(([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response());
    }
    app.invocations.try_acquire().map_err(|_| {
        let busy = error(
            StatusCode::TOO_MANY_REQUESTS,
            &format!("{MOST_AT_ONCE} invocations run: come back when one has ended"),
        );
        ([(header::RETRY_AFTER, "1")], busy).into_response()
    })
}

async fn call(worker: &Arc<Worker>, body: Body) -> Response {
    let body = match read(body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let records = match invoke::records(&body) {
        Ok(records) => records,
        Err(refused) => return error(StatusCode::BAD_REQUEST, &refused.to_string()),
    };
    drop(body);
    let Some((service, desk)) = worker.service() else {
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "the worker does not run now: see /health/ready",
        );
    };
    let identifiers = invoke::identifiers(&records);
    match timeout(CALL_TIMEOUT, service.invoke(desk, records)).await {
        Ok(finished) => Json(invoke::response(identifiers, &finished)).into_response(),
        Err(_) => error(
            StatusCode::GATEWAY_TIMEOUT,
            &format!(
                "not finished within {} s: send the records again, in smaller batches",
                CALL_TIMEOUT.as_secs()
            ),
        ),
    }
}

async fn read(body: Body) -> Result<Bytes, Response> {
    let too_large = || {
        error(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body is cut short, or has more than {MOST_BYTES} bytes: send smaller batches"),
        )
    };
    // What is announced need not come first.
    if body.size_hint().lower() > MOST_BYTES as u64 {
        return Err(too_large());
    }
    match timeout(BODY_TIMEOUT, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(error(
            StatusCode::REQUEST_TIMEOUT,
            &format!("the body did not come within {} s", BODY_TIMEOUT.as_secs()),
        )),
    }
}
