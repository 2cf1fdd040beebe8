//! Shared keys: an HMAC of the request. The signed text is described in [Authorize with Shared Key][doc], for Blob and Data Lake Storage, version 2015-02-21 and later.
//!
//! [doc]: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key

use std::cmp::Ordering;
use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, Method};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use sha2::Sha256;

use crate::errors::{AUTHENTICATION_FAILED, ErrorResponse, INVALID_AUTHENTICATION};
use crate::request::Query;

/// The allowed difference to the client's clock in seconds, as in the service.
const MAX_CLOCK_SKEW_SECONDS: i64 = 15 * 60;

/// The account of local emulators, whose key is public.
const DEVELOPMENT_ACCOUNT: &str = "devstoreaccount1";
const DEVELOPMENT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An account with its key.
pub(crate) struct Account {
    pub(crate) name: String,
    key: Vec<u8>,
}

impl Account {
    pub(crate) fn development() -> Self {
        Self {
            name: DEVELOPMENT_ACCOUNT.to_owned(),
            // A constant; a test below decodes it.
            key: BASE64_STANDARD.decode(DEVELOPMENT_KEY).unwrap_or_default(),
        }
    }

    /// Verifies `account:signature`, and returns the name of the account as the principal.
    pub(crate) fn verify(
        &self,
        credentials: &str,
        method: &Method,
        raw_path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<String, ErrorResponse> {
        let (account, signature) = credentials.split_once(':').ok_or(INVALID_AUTHENTICATION)?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| INVALID_AUTHENTICATION)?;
        if account != self.name || !is_recent(headers) {
            return Err(AUTHENTICATION_FAILED.into());
        }
        // Microsoft's libraries sort headers in two ways: by bytes, and as .NET compares words.
        let signed = [by_bytes as fn(&str, &str) -> Ordering, by_words]
            .into_iter()
            .any(|order| {
                let text = string_to_sign(account, method, raw_path, query, headers, order);
                // HMAC accepts a key of any length.
                Hmac::<Sha256>::new_from_slice(&self.key)
                    .is_ok_and(|mac| mac.chain_update(text).verify_slice(&signature).is_ok())
            });
        if signed {
            Ok(self.name.clone())
        } else {
            Err(AUTHENTICATION_FAILED.into())
        }
    }
}

fn is_recent(headers: &HeaderMap) -> bool {
    let date = headers.get("x-ms-date").or_else(|| headers.get("date"));
    let date = date
        .and_then(|date| date.to_str().ok())
        .and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    date.is_some_and(|date| (Timestamp::now().as_second() - date.as_second()).abs() <= MAX_CLOCK_SKEW_SECONDS)
}

fn string_to_sign(
    account: &str,
    method: &Method,
    raw_path: &str,
    query: &Query,
    headers: &HeaderMap,
    order: fn(&str, &str) -> Ordering,
) -> String {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let length = value("content-length");
    let length = if length == "0" { "" } else { length };
    let date = if headers.contains_key("x-ms-date") {
        ""
    } else {
        value("date")
    };
    let mut text = [
        method.as_str(),
        value("content-encoding"),
        value("content-language"),
        length,
        value("content-md5"),
        value("content-type"),
        date,
        value("if-modified-since"),
        value("if-match"),
        value("if-none-match"),
        value("if-unmodified-since"),
        value("range"),
        "",
    ]
    .join("\n");

    let names = headers.keys().map(HeaderName::as_str);
    let mut names: Vec<&str> = names.filter(|name| name.starts_with("x-ms-")).collect();
    names.sort_by(|a, b| order(a, b));
    for name in names {
        text.push_str(&format!("{name}:{}\n", value(name).trim()));
    }

    text.push_str(&format!("/{account}{raw_path}"));
    let mut parameters: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in query.pairs() {
        parameters.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    for (name, mut values) in parameters {
        values.sort_unstable();
        text.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    text
}

fn by_bytes(a: &str, b: &str) -> Ordering {
    a.cmp(b)
}

/// Hyphens are ignored unless all else is equal, and an underscore is less than digits and letters.
fn by_words(a: &str, b: &str) -> Ordering {
    let letters = |text: &str| -> Vec<u8> {
        text.bytes()
            .filter(|byte| *byte != b'-')
            .map(|byte| if byte == b'_' { 0 } else { byte })
            .collect()
    };
    letters(a).cmp(&letters(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let headers = pairs.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        headers.collect()
    }

    /// The example in Microsoft's documentation, with its text to sign.
    #[test]
    fn the_documented_example_gives_the_documented_text() {
        let headers = headers(&[
            ("x-ms-version", "2015-02-21"),
            ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
            ("content-length", "0"),
        ]);
        let query = Query::parse("restype=container&comp=metadata&timeout=20");
        let text = string_to_sign("myaccount", &Method::GET, "/mycontainer", &query, &headers, by_bytes);
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(text, expected);
    }

    #[test]
    fn parameters_given_twice_are_joined_and_sorted() {
        let query = Query::parse("include=snapshots&include=metadata&Comp=list");
        let text = string_to_sign("a", &Method::GET, "/c", &query, &HeaderMap::new(), by_bytes);
        assert!(text.ends_with("/a/c\ncomp:list\ninclude:metadata,snapshots"), "{text}");
    }

    #[test]
    fn headers_sort_by_bytes_and_by_words() {
        assert_eq!(by_bytes("x-ms-meta-ab", "x-ms-meta-a-c"), Ordering::Greater);
        assert_eq!(by_words("x-ms-meta-ab", "x-ms-meta-a-c"), Ordering::Less);
        assert_eq!(by_words("x-ms-meta-a_b", "x-ms-meta-a1"), Ordering::Less);
    }

    fn signed(account: &Account, date: &str) -> Result<String, &'static str> {
        let headers = headers(&[("x-ms-date", date)]);
        let query = Query::default();
        let text = string_to_sign(&account.name, &Method::GET, "/c", &query, &headers, by_bytes);
        let mac = Hmac::<Sha256>::new_from_slice(&account.key).unwrap().chain_update(text);
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let verify = |credentials: String, path| account.verify(&credentials, &Method::GET, path, &query, &headers);
        assert!(verify(format!("{}:{signature}", account.name), "/other").is_err());
        assert!(verify(format!("other:{signature}"), "/c").is_err());
        verify(format!("{}:{signature}", account.name), "/c").map_err(|error_response| error_response.error.code)
    }

    #[test]
    fn a_signature_is_valid_for_its_request_and_for_15_minutes() {
        let account = Account::development();
        assert_eq!(account.key.len(), 64);
        let date = |ago: i64| crate::storage::http_date(Timestamp::now().as_second() - ago);
        assert_eq!(signed(&account, &date(0)), Ok(DEVELOPMENT_ACCOUNT.into()));
        assert_eq!(signed(&account, &date(3600)), Err("AuthenticationFailed"));
        assert_eq!(signed(&account, "yesterday"), Err("AuthenticationFailed"));
    }
}
