//! Which attachment URLs may be fetched: the guard against requests that an event could forge.
//!
//! Events are untrusted and the fetcher sits inside our network, so a URL is refused unless every
//! rule lets it in. Two parsers that read one text differently are the classic hole (`\@`, tabs,
//! `%2e`, `0x7f.1`), so the text must already be spelled as the parser reads it, and the [`Url`]
//! that is handed back, never the text, is what gets fetched. Spaces and letters outside ASCII are
//! percent-encoded before, behind the host alone.

mod candidate;
mod policy;
mod refusal;
mod spelling;

pub use policy::{DEFAULT_ALLOWED_HOSTS, RuleVerdict, UrlPolicy};
pub use refusal::UrlRefusal;
pub use spelling::{MAX_URL_BYTES, location_text};
