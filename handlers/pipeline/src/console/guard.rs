//! What keeps other web pages, and content of events, from using the console.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::layout::PageError;
use super::origins::Origins;

/// No script, style, request or form but those of this server; no page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with it browsers state the origin `null` in the forms of these pages too, which are then refused:
    // <https://fetch.spec.whatwg.org/#append-a-request-origin-header>.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The path that a platform asks whether the process is running, by the address of the container.
pub(super) const LIVENESS: &str = "/health/live";

/// Refuses requests for another host and of other sites, and sets the headers of every response.
pub(super) async fn guard(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut response = if request.uri().path() == LIVENESS {
        next.run(request).await
    } else if !origins.is_host(headers) {
        let text = format!("the console answers to {}/ only", origins.main());
        PageError::new(StatusCode::MISDIRECTED_REQUEST, text).into_response()
    } else if is_embedded_elsewhere(headers) {
        refuse("another site requested this page: open it in the address bar")
    } else if !request.method().is_safe() && (!origins.is_sender(headers) || is_of_other_site(headers)) {
        refuse("another site sent this form; nothing was changed")
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refuse(reason: &str) -> Response {
    PageError::new(StatusCode::FORBIDDEN, reason).into_response()
}

/// Returns whether a page of another site makes the request, other than by a link.
fn is_embedded_elsewhere(headers: &HeaderMap) -> bool {
    is_of_other_site(headers) && fetch_header(headers, "sec-fetch-mode") != Some(b"navigate")
}

/// Returns whether a page of another site makes the request. Browsers state it: <https://www.w3.org/TR/fetch-metadata/>.
fn is_of_other_site(headers: &HeaderMap) -> bool {
    !matches!(
        fetch_header(headers, "sec-fetch-site"),
        None | Some(b"same-origin" | b"none")
    )
}

fn fetch_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers.get(name).map(HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_lead_here_from_other_sites() {
        for (site, mode, expected) in [
            (None, None, false),
            (Some("none"), "navigate".into(), false),
            (Some("same-origin"), "cors".into(), false),
            (Some("cross-site"), "navigate".into(), false),
            (Some("cross-site"), "no-cors".into(), true),
            (Some("same-site"), "cors".into(), true),
            (Some("cross-site"), None, true),
        ] {
            let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode)].into_iter();
            let headers: HeaderMap = headers
                .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_static(value?))))
                .collect();
            assert_eq!(is_embedded_elsewhere(&headers), expected, "{site:?} {mode:?}");
        }
    }
}
