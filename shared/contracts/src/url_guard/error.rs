//! Why a URL is refused, as a text for operators.

use std::net::IpAddr;

use url::ParseError;

use super::spelling::MAX_URL_BYTES;

/// Why a URL is refused. The texts never hold user information or anything after a `?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusedError {
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the URL has {0} bytes; at most {MAX_URL_BYTES} are accepted")]
    TooLong(usize),
    /// Holds a character on which URL parsers disagree.
    #[error("the URL holds {what} at byte {position}; the sender must percent-encode it or leave it out")]
    Character {
        /// What was found.
        what: &'static str,
        /// Where, counted in bytes from 0.
        position: usize,
    },
    /// Not `https://…`, but this scheme if it is a well-known one, else a description.
    #[error("the URL is not https ({0}); only `https://` is accepted, and in dev mode `http://localhost`")]
    Scheme(&'static str),
    /// Names a user, a password, or holds an `@` before the host.
    #[error("the URL carries user information before its host; the sender must leave it out")]
    UserInfo,
    /// `https:///path`, or no host at all.
    #[error("the URL names no host after `https://`")]
    NoHost,
    /// The host holds a percent sign.
    #[error("the URL's host is percent-encoded; the sender must spell it in plain letters")]
    EncodedHost,
    /// The host holds letters outside ASCII.
    #[error(
        "the URL's host is not ASCII; the sender must spell it in punycode (`xn--…`), and that form must be in ALLOWED_ATTACHMENT_DOMAINS"
    )]
    NonAsciiHost,
    /// The parser cannot read it.
    #[error("the URL cannot be parsed: {0}")]
    Unparsable(ParseError),
    /// An address in any notation instead of a name.
    #[error("the URL's host is the address {0}; attachments are fetched from named hosts only")]
    IpLiteral(IpAddr),
    /// Spelled so that another parser may see another host or port.
    #[error(
        "the URL's host or port is not spelled as a parser reads it, so that another parser could see another host"
    )]
    Ambiguous,
    /// `localhost` is a development host.
    #[error("the URL's host is localhost, which is accepted in dev mode (`--dev`) alone")]
    LocalhostOutsideDev,
    /// Another port than 443.
    #[error("the URL's port is {0}; only 443 is accepted")]
    Port(u16),
    /// Not in the allow-list. The host is in lower case, truncated to 253 characters.
    #[error(
        "the URL's host `{0}` is not in ALLOWED_ATTACHMENT_DOMAINS; add it there if it is one of the attachment sources"
    )]
    HostNotAllowed(String),
}
