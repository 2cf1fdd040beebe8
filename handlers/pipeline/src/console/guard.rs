//! What keeps other web pages, and content of events, from using the console.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::layout::PageError;

/// No script, style, request or form but those of this server; no page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses requests for another host, and sets the headers of every response.
pub(super) async fn guard(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    let mut response = if is_embedded_elsewhere(&request) {
        PageError::new(
            StatusCode::FORBIDDEN,
            "another site requested this page: open it in the address bar",
        )
        .into_response()
    } else if is_for(&request, address) {
        next.run(request).await
    } else {
        // A page of another origin, whose host name resolves to this machine.
        let text = format!("the console answers to http://{address}/ only");
        PageError::new(StatusCode::MISDIRECTED_REQUEST, text).into_response()
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

/// Returns whether a page of another site makes the request, other than by a link. Browsers state both:
/// <https://www.w3.org/TR/fetch-metadata/>. A check of the setup writes a test file, so no image of another site may request it.
fn is_embedded_elsewhere(request: &Request) -> bool {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_own = matches!(header("sec-fetch-site"), None | Some(b"same-origin" | b"none"));
    !is_own && header("sec-fetch-mode") != Some(b"navigate")
}

/// Returns whether the Host header names this server by its address, or by `localhost`.
fn is_for(request: &Request, address: SocketAddr) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| {
        Uri::builder()
            .scheme("http")
            .authority(host)
            .path_and_query("/")
            .build()
            .ok()
    }) else {
        return false;
    };
    let name = authority.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_named = name == "localhost" || name.parse() == Ok(address.ip());
    is_named && authority.port_u16().unwrap_or(80) == address.port()
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
            let mut request = Request::new(axum::body::Body::empty());
            for (name, value) in [("sec-fetch-site", site), ("sec-fetch-mode", mode)] {
                if let Some(value) = value {
                    request.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(is_embedded_elsewhere(&request), expected, "{site:?} {mode:?}");
        }
    }

    #[test]
    fn only_requests_for_this_server_are_answered() {
        let address = "127.0.0.1:8088".parse().unwrap();
        for (host, expected) in [
            (Some("127.0.0.1:8088"), true),
            (Some("localhost:8088"), true),
            (Some("localhost"), false),
            (Some("127.0.0.1:80"), false),
            (Some("attacker.example:8088"), false),
            (Some("127.0.0.1:8088.attacker.example"), false),
            (Some("127.0.0.1:8088@attacker.example"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut request = Request::new(axum::body::Body::empty());
            if let Some(host) = host {
                request
                    .headers_mut()
                    .insert(header::HOST, HeaderValue::from_static(host));
            }
            assert_eq!(is_for(&request, address), expected, "{host:?}");
        }
        let mut request = Request::new(axum::body::Body::empty());
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static("[::1]:8088"));
        assert!(is_for(&request, "[::1]:8088".parse().unwrap()));
    }
}
