//! The faults that the emulator produces on request. A [`Rule`](crate::Rule) selects the requests that they affect.

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

emulator_kit::faults! {
    /// What goes wrong.
    pub enum Fault at "/__admin" {
        Throttled = "throttled", "429 with Retry-After, nothing done";
        Unavailable = "unavailable", "503 with Retry-After, nothing done";
        ErrorBefore = "error-before", "500, nothing done";
        ErrorAfter = "error-after", "done, then 500: the acknowledgement is lost";
        Expired = "expired", "401, as for a token that has expired";
        Forbidden = "forbidden", "403, as for a role assignment that has not propagated yet";
        Slow = "slow", "done after a delay";
        CutBefore = "cut-before", "the connection closes, nothing done";
        CutAfter = "cut-after", "done, then the connection closes without an answer";
        CutWithin = "cut-within", "done, then the connection closes in the middle of the answer";
        Conflict = "conflict", "409 for a reason other than that the path exists, nothing done";
        IfNoneMatchIgnored = "if-none-match-ignored", "done as if the request had no If-None-Match";
        IfNoneMatchRefused = "if-none-match-refused", "400 to a request with If-None-Match, nothing done";
        MetadataDropped = "metadata-dropped", "done, but the metadata of the request is not kept";
    }
}

impl Fault {
    /// Whether a request with these headers can have the fault.
    pub(crate) fn applies_to(self, headers: &HeaderMap) -> bool {
        match self {
            Self::IfNoneMatchIgnored | Self::IfNoneMatchRefused => headers.contains_key(IF_NONE_MATCH),
            Self::MetadataDropped => headers.keys().any(|name| is_metadata(name.as_str())),
            _ => true,
        }
    }

    /// Returns the headers without those that the fault hides from the service.
    pub(crate) fn visible_headers(self, headers: &HeaderMap) -> HeaderMap {
        let mut visible = headers.clone();
        match self {
            Self::IfNoneMatchIgnored => {
                visible.remove(IF_NONE_MATCH);
            }
            Self::MetadataDropped => {
                for name in headers.keys().filter(|name| is_metadata(name.as_str())) {
                    visible.remove(name);
                }
            }
            _ => {}
        }
        visible
    }
}

/// Whether a header has metadata, in either protocol.
fn is_metadata(header: &str) -> bool {
    header.starts_with("x-ms-meta-") || header == "x-ms-properties"
}
