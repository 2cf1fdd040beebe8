//! Which attachment URLs may be fetched: protection against server-side request forgery (SSRF).
//!
//! Events are untrusted and the fetcher runs inside the network, so a URL is refused unless every rule accepts it. Two
//! parsers that read one text differently are the classic vulnerability (`\@`, tabs, `%2e`, `0x7f.1`). Therefore the text must
//! be spelled as the parser reads it, and the parsed [`Url`](url::Url) that is returned is fetched, never the text. Spaces and
//! non-ASCII characters behind the host are percent-encoded first.

mod candidate;
mod error;
mod policy;
mod spelling;

pub(crate) use candidate::{is_scheme, is_scheme_byte};
pub use error::UrlRefusedError;
pub use policy::{DEFAULT_ALLOWED_HOSTS, RuleVerdict, UrlPolicy};
pub use spelling::{MAX_URL_BYTES, location_text};
