//! The addresses of the console, as browsers state them in `Host` and `Origin`.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, header};
use url::{Origin, Url};

/// The origins that are this console's.
#[derive(Debug, Clone)]
pub(super) struct Origins(Vec<Origin>);

impl Origins {
    /// The configured one, and those of a loopback address.
    pub(super) fn new(configured: Option<&Url>, address: SocketAddr) -> Self {
        let port = address.port();
        let local = [format!("http://{address}"), format!("http://localhost:{port}")];
        let local = local.iter().filter(|_| address.ip().is_loopback());
        let local = local.filter_map(|text| Url::parse(text).ok());
        Self(
            configured
                .cloned()
                .into_iter()
                .chain(local)
                .map(|url| url.origin())
                .collect(),
        )
    }

    /// Returns whether the Host header names this console. A page of another site whose host name resolves to this machine
    /// states its own name.
    pub(super) fn is_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = text(headers, header::HOST) else {
            return false;
        };
        ["http", "https"]
            .iter()
            .filter_map(|scheme| Url::parse(&format!("{scheme}://{host}")).ok())
            .filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none())
            .any(|url| self.0.contains(&url.origin()))
    }

    /// Returns whether a page of this console sends the request. Browsers state the origin of each request that may change
    /// something; other programs state none, and need the form token in any case.
    pub(super) fn is_sender(&self, headers: &HeaderMap) -> bool {
        match headers.get(header::ORIGIN) {
            None => true,
            Some(_) => text(headers, header::ORIGIN)
                .and_then(|origin| Url::parse(origin).ok())
                .is_some_and(|url| self.0.contains(&url.origin())),
        }
    }

    /// Returns the address that people open, without a path.
    pub(super) fn main(&self) -> String {
        self.0.first().map(Origin::ascii_serialization).unwrap_or_default()
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn origins(configured: Option<&str>, address: &str) -> Origins {
        let configured = configured.map(|url| Url::parse(url).unwrap());
        Origins::new(configured.as_ref(), address.parse().unwrap())
    }

    fn headers(name: &HeaderName, value: Option<&str>) -> HeaderMap {
        let value = value.map(|value| HeaderValue::from_str(value).unwrap());
        value.into_iter().map(|value| (name.clone(), value)).collect()
    }

    #[test]
    fn only_requests_for_this_console_are_answered() {
        let local = origins(None, "127.0.0.1:8088");
        assert_eq!(local.main(), "http://127.0.0.1:8088");
        for (host, expected) in [
            (Some("127.0.0.1:8088"), true),
            (Some("localhost:8088"), true),
            (Some("localhost"), false),
            (Some("127.0.0.1:80"), false),
            (Some("attacker.example:8088"), false),
            (Some("127.0.0.1:8088.attacker.example"), false),
            (Some("127.0.0.1:8088@attacker.example"), false),
            (Some("127.0.0.1:8088/x"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(local.is_host(&headers(&header::HOST, host)), expected, "{host:?}");
        }
        assert!(origins(None, "[::1]:8088").is_host(&headers(&header::HOST, Some("[::1]:8088"))));
        let public = origins(Some("https://console.example"), "0.0.0.0:8088");
        assert_eq!(public.main(), "https://console.example");
        for (host, expected) in [
            ("console.example", true),
            ("console.example:443", true),
            ("0.0.0.0:8088", false),
            ("127.0.0.1:8088", false),
        ] {
            assert_eq!(public.is_host(&headers(&header::HOST, Some(host))), expected, "{host}");
        }
    }

    #[test]
    fn only_pages_of_this_console_may_change_something() {
        let public = origins(Some("https://console.example"), "0.0.0.0:8088");
        for (origin, expected) in [
            (Some("https://console.example"), true),
            (None, true),
            (Some("http://console.example"), false),
            (Some("https://console.example.attacker.example"), false),
            (Some("https://attacker.example"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            assert_eq!(
                public.is_sender(&headers(&header::ORIGIN, origin)),
                expected,
                "{origin:?}"
            );
        }
    }
}
