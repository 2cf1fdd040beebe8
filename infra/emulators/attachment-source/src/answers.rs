//! The answer to a path: the file, or the fault that the path asks for.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::content::{SampleFile, content_for, path_hash};
use crate::faults::{self, Fault};
use crate::sample_path::{SamplePath, decode_path};
use crate::seen_paths::SeenPaths;

/// Largest file that is sent from one buffer, in bytes; larger ones are streamed.
const MAX_BUFFERED_BYTES: u64 = 256 * 1024;

/// Wait before a `delayed` answer: about what a remote server takes.
const DELAY: Duration = Duration::from_millis(50);
/// Duration of a `slow` answer, and its least number of pieces.
const SLOW_DURATION: Duration = Duration::from_secs(3);
const SLOW_PIECES: u64 = 30;

/// Target of `redirect-away`; `.invalid` never resolves (RFC 6761).
const OTHER_ORIGIN: &str = "https://elsewhere.invalid";

/// What the answers of both listeners share.
pub(crate) struct SourceState {
    pub(crate) requests: AtomicU64,
    pub(crate) seen: SeenPaths,
}

/// Answers every request of both listeners.
pub(crate) async fn answer(State(state): State<Arc<SourceState>>, request: Request) -> Response {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let is_get = match *request.method() {
        Method::GET => true,
        Method::HEAD => false,
        _ => {
            let answer = error(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served");
            return with_header(answer, ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
    };
    let path = decode_path(request.uri().path());
    if path == "/" {
        return faults::help().into_response();
    }
    let sample = SamplePath::parse(&path);
    if sample.extension.is_none() {
        return error(
            StatusCode::NOT_FOUND,
            "not a file: the last segment of the path has no extension; GET / explains the paths",
        );
    }
    let fault = sample.fault.filter(|fault| {
        // A HEAD gets the headers of the next GET, and does not use up the fault.
        let count = if is_get { SeenPaths::count } else { SeenPaths::counted };
        let has_times_left = |times| count(&state.seen, path_hash(&path)) < times;
        fault.times().is_none_or(has_times_left)
    });
    // The HTTP layer drops the body of an answer to HEAD; every body is lazy or small.
    match fault {
        None => file(content_for(&path)),
        Some(fault) => faulty(fault, &path, request.uri()).await,
    }
}

async fn faulty(fault: Fault, path: &str, uri: &Uri) -> Response {
    match fault {
        Fault::Missing => error(StatusCode::NOT_FOUND, "no such file"),
        Fault::Forbidden => error(StatusCode::FORBIDDEN, "access denied"),
        Fault::Unavailable | Fault::UnavailableOnce | Fault::UnavailableThrice => {
            error(StatusCode::SERVICE_UNAVAILABLE, "reduce your request rate")
        }
        Fault::ThrottledOnce => later(error(StatusCode::TOO_MANY_REQUESTS, "too many requests"), 1),
        Fault::BusyOnce => later(error(StatusCode::SERVICE_UNAVAILABLE, "come back later"), 3),
        Fault::UnauthorizedOnce => error(StatusCode::UNAUTHORIZED, "the credentials are not valid yet"),
        Fault::Truncated | Fault::TruncatedOnce => truncated(content_for(path)),
        Fault::Html => error_page(content_for(path).content_type),
        Fault::WrongType => error_page("text/html"),
        Fault::Redirect => redirect(&format!("/{}{}", faults::OK, after_kind(uri))),
        Fault::RedirectAway => redirect(&format!("{OTHER_ORIGIN}/{}{}", faults::OK, after_kind(uri))),
        Fault::Delayed => {
            tokio::time::sleep(DELAY).await;
            file(content_for(path))
        }
        Fault::Slow => slow(content_for(path)),
        Fault::Endless => endless(content_for(path)),
        Fault::Octet => {
            let mut content = content_for(path);
            content.content_type = "application/octet-stream";
            file(content)
        }
        Fault::Gzip => gzip(&content_for(path)),
    }
}

/// Serves the file without a fault.
fn file(content: SampleFile) -> Response {
    let (content_type, length) = (content.content_type, content.size());
    let body = if length <= MAX_BUFFERED_BYTES {
        Body::from(content.to_bytes())
    } else {
        Body::from_stream(stream::iter(content.into_chunks().map(Ok::<_, io::Error>)))
    };
    with_length(content_type, length, body)
}

/// Serves the file as an object that was stored compressed. The file is held in memory: use small sizes.
fn gzip(content: &SampleFile) -> Response {
    let content_type = content.content_type;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let compressed = encoder.write_all(&content.to_bytes()).and_then(|()| encoder.finish());
    match compressed {
        Ok(body) => {
            let answer = with_length(content_type, body.len() as u64, Body::from(body));
            with_header(answer, CONTENT_ENCODING, HeaderValue::from_static("gzip"))
        }
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be compressed"),
    }
}

/// Sends half of what `Content-Length` says, then closes the connection.
fn truncated(content: SampleFile) -> Response {
    let (content_type, length) = (content.content_type, content.size());
    let mut left = length / 2;
    let half = content.into_chunks().map_while(move |mut chunk| {
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= chunk.len() as u64;
        (!chunk.is_empty()).then_some(chunk)
    });
    let cut = stream::once(async {
        // Lets the server flush the half before it drops the connection.
        tokio::task::yield_now().await;
        Err(io::Error::other("truncated on demand"))
    });
    let body = Body::from_stream(stream::iter(half.map(Ok)).chain(cut));
    with_length(content_type, length, body)
}

/// Sends the file at an even pace over [`SLOW_DURATION`].
fn slow(content: SampleFile) -> Response {
    let (content_type, length) = (content.content_type, content.size());
    let piece = usize::try_from(length / SLOW_PIECES).unwrap_or(usize::MAX).max(1);
    let start = Instant::now();
    let mut sent = 0;
    let paced = stream::iter(content.into_chunks())
        .flat_map(move |chunk| stream::iter(pieces(chunk, piece)))
        .then(move |piece| {
            sent += piece.len() as u64;
            let due = start + SLOW_DURATION.mul_f64(sent as f64 / length as f64);
            async move {
                tokio::time::sleep_until(due).await;
                Ok::<_, io::Error>(piece)
            }
        });
    with_length(content_type, length, Body::from_stream(paced))
}

fn pieces(mut chunk: Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!chunk.is_empty()).then(|| chunk.split_to(size.min(chunk.len()))))
}

/// Sends the beginning of the file, for its magic bytes, then filler for as long as the client reads.
fn endless(content: SampleFile) -> Response {
    let content_type = content.content_type;
    let beginning = content.into_chunks().next().unwrap_or_default();
    let filler = Bytes::from_static(&[b'.'; 16 * 1024]);
    let body = stream::once(async { beginning }).chain(stream::repeat(filler));
    let body = Body::from_stream(body.map(Ok::<_, io::Error>));
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

/// Sends an error page as some gateways do, with status 200.
fn error_page(content_type: &'static str) -> Response {
    const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n\
        <body><h1>502 Bad Gateway</h1><p>The upstream server did not answer.</p></body></html>\n";
    with_length(content_type, PAGE.len() as u64, Body::from(PAGE))
}

fn redirect(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => with_header(error(StatusCode::FOUND, "moved"), LOCATION, location),
        Err(_) => error(StatusCode::BAD_REQUEST, "this path cannot be a redirect's target"),
    }
}

/// Returns path and query after the first segment, still percent-encoded.
fn after_kind(uri: &Uri) -> &str {
    let whole = uri.path_and_query().map_or("", |whole| whole.as_str());
    let second_slash = whole.match_indices('/').nth(1);
    second_slash.map_or(whole, |(at, _)| &whole[at..])
}

fn with_length(content_type: &'static str, length: u64, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_LENGTH, HeaderValue::from(length)),
    ];
    (headers, body).into_response()
}

fn error(status: StatusCode, reason: &'static str) -> Response {
    (status, format!("{}: {reason}\n", status.as_u16())).into_response()
}

fn later(response: Response, seconds: u64) -> Response {
    with_header(response, RETRY_AFTER, HeaderValue::from(seconds))
}

fn with_header(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}
