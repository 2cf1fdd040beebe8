//! Answers: errors in the form of the protocol, streamed files, and the headers of every answer.

use std::io::{self, SeekFrom};

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::content::set;
use crate::errors::{ErrorResponse, IDS_MISSING};
use crate::ranges::ByteRange;
use crate::storage::http_date;
use crate::verbs::Protocol;
use crate::xml;

/// Size of a read from a file in bytes.
const READ_BYTES: usize = 256 * 1024;
/// The version for clients that do not send one.
const DEFAULT_VERSION: &str = "2023-11-03";
/// Content-Length of an answer without a body when it is cut in the middle.
const CUT_BODY_BYTES: usize = 128;

/// Returns an answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Returns an answer with a text.
pub(crate) fn text(status: StatusCode, content_type: &str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    set(response.headers_mut(), "content-type", content_type);
    response
}

/// Streams bytes of a file, with at most [`READ_BYTES`] in memory.
pub(crate) fn file(file: std::fs::File, span: ByteRange) -> Body {
    let file = tokio::fs::File::from_std(file);
    let pieces = stream::try_unfold((file, span, true), |(mut file, span, first)| async move {
        if span.length == 0 {
            return Ok(None);
        }
        if first {
            file.seek(SeekFrom::Start(span.start)).await?;
        }
        let wanted = usize::try_from(span.length).unwrap_or(usize::MAX).min(READ_BYTES);
        let mut piece = BytesMut::with_capacity(wanted);
        let read = (&mut file).take(wanted as u64).read_buf(&mut piece).await?;
        if read == 0 {
            let reason = "the file was truncated while it was read";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        let rest = ByteRange {
            start: span.start + read as u64,
            length: span.length - read as u64,
        };
        Ok(Some((piece.freeze(), (file, rest, false))))
    });
    Body::from_stream(pieces)
}

/// Returns an error in the form of the protocol.
pub(crate) fn error(error_response: &ErrorResponse, protocol: Protocol, request_id: &str) -> Response {
    let error = error_response.error;
    let time = Timestamp::now();
    let message = format!("{}\nRequestId:{request_id}\nTime:{time}", error_response.text());
    let mut response = if error.status == StatusCode::NOT_MODIFIED {
        empty(error.status)
    } else if error == IDS_MISSING {
        // As reported by users of OneLake: JSON without a request id, also from the Blob endpoint.
        let body = json!({"error": {"code": error.code, "message": error_response.text()}});
        text(error.status, "application/json", body.to_string())
    } else if protocol == Protocol::Dfs {
        let body = json!({"error": {"code": error.code, "message": message}});
        text(error.status, "application/json;charset=utf-8", body.to_string())
    } else {
        text(error.status, xml::CONTENT_TYPE, xml::error(error.code, &message))
    };
    set(response.headers_mut(), "x-ms-error-code", error.code);
    for (name, value) in &error_response.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// Sets the headers of every answer.
pub(crate) fn finish(response: &mut Response, request: &HeaderMap, request_id: &str) {
    let headers = response.headers_mut();
    set(headers, "x-ms-request-id", request_id);
    set(
        headers,
        "server",
        concat!("onelake-emulator/", env!("CARGO_PKG_VERSION")),
    );
    let asked = |name| request.get(name).and_then(|value| value.to_str().ok());
    set(
        headers,
        "x-ms-version",
        asked("x-ms-version").unwrap_or(DEFAULT_VERSION),
    );
    if let Some(id) = asked("x-ms-client-request-id") {
        set(headers, "x-ms-client-request-id", id);
    }
    // OneLake ignores these headers, and lists them in the answer.
    const REJECTED: [&str; 8] = [
        "x-ms-owner",
        "x-ms-group",
        "x-ms-permissions",
        "x-ms-acl",
        "x-ms-encryption-key",
        "x-ms-encryption-key-sha256",
        "x-ms-encryption-algorithm",
        "x-ms-access-tier",
    ];
    let mut rejected = REJECTED.to_vec();
    rejected.retain(|name| request.contains_key(*name));
    if !rejected.is_empty() {
        set(headers, "x-ms-rejected-headers", &rejected.join(","));
    }
    if !headers.contains_key(DATE) {
        set(headers, "date", &http_date(Timestamp::now().as_second()));
    }
}

/// Returns the length of the body if it is known in advance, else 0.
fn body_length(response: &Response) -> u64 {
    let announced = response.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    let known = || HttpBody::size_hint(response.body()).exact();
    announced.or_else(known).unwrap_or(0)
}

/// Returns the number of body bytes that are sent: none for HEAD, regardless of Content-Length.
pub(crate) fn sent_bytes(response: &Response, method: &Method) -> u64 {
    if *method == Method::HEAD {
        0
    } else {
        body_length(response)
    }
}

/// Returns the answer with a body that ends half-way; `None` if it cannot have a body.
pub(crate) fn cut(response: Response, method: &Method) -> Option<Response> {
    // The headers of an answer cannot be cut here.
    if *method == Method::HEAD || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status()) {
        return None;
    }
    let known = body_length(&response);
    let (mut parts, body) = response.into_parts();
    let (length, body) = match usize::try_from(known).unwrap_or(usize::MAX) {
        0 => (CUT_BODY_BYTES, Body::from(vec![b' '; CUT_BODY_BYTES])),
        length => (length, body),
    };
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let content_type = parts.headers.entry(CONTENT_TYPE);
    content_type.or_insert(HeaderValue::from_static("text/plain"));
    let mut left = length / 2;
    let half = body.into_data_stream().map(move |piece| {
        let mut piece: Bytes = piece.map_err(io::Error::other)?;
        piece.truncate(left);
        left -= piece.len();
        Ok(piece)
    });
    let half = half.take_while(|piece| {
        let goes_on = piece.as_ref().map_or(true, |piece: &Bytes| !piece.is_empty());
        std::future::ready(goes_on)
    });
    let cut = stream::once(async {
        // Lets the server flush the half before it drops the connection.
        tokio::task::yield_now().await;
        Err(io::Error::other("cut on demand"))
    });
    Some(Response::from_parts(parts, Body::from_stream(half.chain(cut))))
}
