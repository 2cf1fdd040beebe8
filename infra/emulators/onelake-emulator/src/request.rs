//! The parts of a request that the protocols read: query and headers.

use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;

use crate::errors::{ErrorResponse, INVALID_HEADER, INVALID_MD5, INVALID_QUERY};

/// The decoded query, in its order. Names are compared without case, as the service does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: &str) -> Self {
        let decoded = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns a parameter that is `true` or `false`; `false` if it is missing.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ErrorResponse> {
        match self.get(name) {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(INVALID_QUERY.into()),
        }
    }

    /// Returns a parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ErrorResponse> {
        let number = self.get(name).map(str::parse).transpose();
        number.map_err(|_| INVALID_QUERY.into())
    }
}

/// Returns the text of a header; a value that is not text is an error.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ErrorResponse> {
    let text = headers.get(name).map(HeaderValue::to_str).transpose();
    text.map_err(|_| INVALID_HEADER.into())
}

/// Returns `Content-Length` in bytes.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ErrorResponse> {
    let length = header(headers, CONTENT_LENGTH.as_str())?.map(str::parse).transpose();
    length.map_err(|_| INVALID_HEADER.into())
}

/// Returns the text of a header, copied.
pub(crate) fn owned(headers: &HeaderMap, name: &str) -> Result<Option<String>, ErrorResponse> {
    Ok(header(headers, name)?.map(str::to_owned))
}

/// Returns an MD5 from a header, where it is in base64.
pub(crate) fn md5(headers: &HeaderMap, name: &str) -> Result<Option<[u8; 16]>, ErrorResponse> {
    let Some(text) = header(headers, name)? else {
        return Ok(None);
    };
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| INVALID_MD5)?;
    Ok(Some(bytes.try_into().map_err(|_| INVALID_MD5)?))
}

/// Returns the endpoint as the client addresses it, for lists.
pub(crate) fn endpoint(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    format!("http://{}/", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_names_are_compared_without_case() {
        let query = Query::parse("resource=filesystem&maxResults=5&directory=a%2Fb+c%2B&recursive=TRUE&empty");
        assert_eq!(query.get("Directory"), Some("a/b c+"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.number("maxresults").unwrap(), Some(5));
        assert!(query.flag("recursive").unwrap());
        assert!(!query.flag("close").unwrap());
        assert!(query.flag("resource").is_err() && query.number("resource").is_err());
    }

    #[test]
    fn an_md5_has_128_bits() {
        let mut headers = HeaderMap::new();
        headers.insert("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==".parse().unwrap());
        assert!(md5(&headers, "content-md5").unwrap().is_some());
        assert_eq!(md5(&headers, "x-ms-blob-content-md5").unwrap(), None);
        for wrong in ["AAAA", "not base64!"] {
            headers.insert("content-md5", wrong.parse().unwrap());
            assert_eq!(md5(&headers, "content-md5").unwrap_err().error, INVALID_MD5);
        }
    }
}
