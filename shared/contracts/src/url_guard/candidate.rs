//! A URL in two forms, as it is written and as the parser reads it, so that they can be compared.

use url::Url;

use super::error::UrlRefusedError;
use super::spelling::{self, MAX_URL_BYTES};

/// A URL as it is written, split by RFC 3986 section 3, and as the parser reads it.
pub(super) struct Candidate<'a> {
    pub(super) raw: &'a str,
    /// `None` if the text does not begin with one.
    pub(super) scheme: Option<&'a str>,
    /// From `://` to the first of `/?#`; `None` without `://`.
    pub(super) authority: Option<&'a str>,
    /// The part before the port.
    pub(super) host: Option<&'a str>,
    /// The part after the host's `:`, if there is one.
    pub(super) port: Option<&'a str>,
    /// Start of path, query and fragment, where spaces and non-ASCII characters are percent-encoded.
    pub(super) tail: usize,
    /// The parsed form of the encoded text; an overlong text is not parsed.
    pub(super) url: Result<Url, UrlRefusedError>,
}

impl<'a> Candidate<'a> {
    pub(super) fn read(raw: &'a str) -> Self {
        let (scheme, rest) = match raw.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, raw),
        };
        let authority = rest
            .strip_prefix("//")
            .filter(|_| scheme.is_some())
            .and_then(|rest| rest.split(['/', '?', '#']).next());
        let (host, port) = authority.map_or((None, None), |authority| {
            // The last colon, unless it belongs to an address in brackets.
            match authority.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => (Some(host), Some(port)),
                _ => (Some(authority), None),
            }
        });
        let tail = spelling::tail_of_url(raw, authority);
        let url = match raw.len() > MAX_URL_BYTES {
            true => Err(UrlRefusedError::TooLong(raw.len())),
            false => Url::parse(&spelling::encode_from(raw, tail)).map_err(UrlRefusedError::Unparsable),
        };
        Self {
            raw,
            scheme,
            authority,
            host,
            port,
            tail,
            url,
        }
    }

    pub(super) fn parsed(&self) -> Result<&Url, UrlRefusedError> {
        self.url.as_ref().map_err(Clone::clone)
    }

    /// Returns the length of the URL that is requested, which may be longer than the text: `ü` becomes `%C3%BC`.
    pub(super) fn bytes(&self) -> usize {
        let parsed = self.url.as_ref().map_or(0, |url| url.as_str().len());
        parsed.max(self.raw.len())
    }

    /// Returns the host as the parser reads it.
    pub(super) fn parsed_host(&self) -> Option<&str> {
        self.url.as_ref().ok()?.host_str()
    }

    /// Returns the port that is written, or that of the scheme.
    pub(super) fn port_number(&self) -> Option<u16> {
        self.url.as_ref().ok()?.port_or_known_default()
    }
}

/// Whether a text has the form of a scheme (RFC 3986, section 3.1).
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|byte| is_scheme_byte(&byte))
}

pub(crate) fn is_scheme_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}
