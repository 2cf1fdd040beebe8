//! One attachment of an event: its URL, checked.

use url::Url;
use uuid::Uuid;

use xact_contracts::file_rules;
use xact_contracts::ids;
use xact_contracts::url_guard::UrlPolicy;

/// One attachment of an event.
pub(crate) struct Attachment<'a> {
    /// The URL as the event has it.
    pub(crate) raw: &'a str,
    pub(crate) media_id: Uuid,
    /// Names the file. A refused URL has one too, so that it gets a path of its own.
    pub(crate) url: Url,
    /// The reason if it is not downloaded.
    pub(crate) refused: Option<String>,
}

impl<'a> Attachment<'a> {
    pub(crate) fn parse(trace_id: &str, raw: &'a str, policy: &UrlPolicy) -> Self {
        let (url, refused) = match policy.check(raw) {
            Ok(url) => {
                let error = file_rules::named_type(&url).err();
                (Some(url), error.map(|error| error.to_string()))
            }
            Err(error) => (Url::parse(raw).ok(), Some(error.to_string())),
        };
        Self {
            raw,
            media_id: ids::media_id(trace_id, raw),
            url: url.unwrap_or_else(placeholder),
            refused,
        }
    }
}

/// Returns a URL without a file name, in place of one that cannot be parsed.
fn placeholder() -> Url {
    // A constant that parses.
    #[allow(clippy::expect_used)]
    Url::parse("https://refused.invalid/").expect("a constant URL")
}
