//! Faults on demand: one enum, one table, so that tests, docs and the emulator's own help cannot disagree.
//!
//! A [`Rule`] says which requests meet a fault.

mod rules;

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

pub use rules::Rule;
pub(crate) use rules::{Asked, Hit, Rules};

/// What goes wrong.
///
/// | fault | what happens |
/// |---|---|
/// | `throttled` | 429 with `Retry-After`, nothing done |
/// | `unavailable` | 503 with `Retry-After`, nothing done |
/// | `error-before` | 500, nothing done |
/// | `error-after` | done, then 500: the acknowledgement is lost |
/// | `expired` | 401, as for a token that has expired |
/// | `forbidden` | 403, as for a role that has not spread yet |
/// | `slow` | done after a delay |
/// | `cut-before` | the connection closes, nothing done |
/// | `cut-after` | done, then the connection closes without an answer |
/// | `cut-within` | done, then the connection closes in the middle of the answer |
/// | `conflict` | 409 for a reason other than that the path exists, nothing done |
/// | `if-none-match-ignored` | done as if the request had no If-None-Match |
/// | `if-none-match-refused` | 400 to a request with If-None-Match, nothing done |
/// | `metadata-dropped` | done, but the metadata that the request brings is not kept |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 429 with `Retry-After`, nothing done.
    Throttled,
    /// 503 with `Retry-After`, nothing done.
    Unavailable,
    /// 500, nothing done.
    ErrorBefore,
    /// Done, then 500.
    ErrorAfter,
    /// 401.
    Expired,
    /// 403.
    Forbidden,
    /// Done after a delay.
    Slow,
    /// The connection closes, nothing done.
    CutBefore,
    /// Done, then the connection closes without an answer.
    CutAfter,
    /// Done, then the connection closes in the middle of the answer.
    CutWithin,
    /// 409 `BlobImmutableDueToPolicy`, nothing done.
    Conflict,
    /// Done as if the request had no `If-None-Match`. Is about requests that have it.
    IfNoneMatchIgnored,
    /// 400 `UnsupportedHeader`, nothing done. Is about requests with `If-None-Match`.
    IfNoneMatchRefused,
    /// Done, but the metadata is not kept. Is about requests that bring some.
    MetadataDropped,
}

/// Each fault with its name and what happens.
const TABLE: [(Fault, &str, &str); 14] = [
    (Fault::Throttled, "throttled", "429 with Retry-After, nothing done"),
    (Fault::Unavailable, "unavailable", "503 with Retry-After, nothing done"),
    (Fault::ErrorBefore, "error-before", "500, nothing done"),
    (
        Fault::ErrorAfter,
        "error-after",
        "done, then 500: the acknowledgement is lost",
    ),
    (Fault::Expired, "expired", "401, as for a token that has expired"),
    (
        Fault::Forbidden,
        "forbidden",
        "403, as for a role that has not spread yet",
    ),
    (Fault::Slow, "slow", "done after a delay"),
    (Fault::CutBefore, "cut-before", "the connection closes, nothing done"),
    (
        Fault::CutAfter,
        "cut-after",
        "done, then the connection closes without an answer",
    ),
    (
        Fault::CutWithin,
        "cut-within",
        "done, then the connection closes in the middle of the answer",
    ),
    (
        Fault::Conflict,
        "conflict",
        "409 for a reason other than that the path exists, nothing done",
    ),
    (
        Fault::IfNoneMatchIgnored,
        "if-none-match-ignored",
        "done as if the request had no If-None-Match",
    ),
    (
        Fault::IfNoneMatchRefused,
        "if-none-match-refused",
        "400 to a request with If-None-Match, nothing done",
    ),
    (
        Fault::MetadataDropped,
        "metadata-dropped",
        "done, but the metadata that the request brings is not kept",
    ),
];

/// A text that names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault; GET /__admin on the emulator lists them")]
pub struct UnknownFault(pub String);

impl Fault {
    /// Every fault, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(fault, _, _)| *fault)
    }

    /// What happens, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    /// Whether it can be met by a request with these headers.
    fn concerns(self, headers: &HeaderMap) -> bool {
        match self {
            Self::IfNoneMatchIgnored | Self::IfNoneMatchRefused => headers.contains_key(IF_NONE_MATCH),
            Self::MetadataDropped => headers.keys().any(|name| is_metadata(name.as_str())),
            _ => true,
        }
    }

    /// The headers of a request as the service takes notice of them.
    pub(crate) fn noticed(self, headers: &HeaderMap) -> HeaderMap {
        let mut noticed = headers.clone();
        match self {
            Self::IfNoneMatchIgnored => {
                noticed.remove(IF_NONE_MATCH);
            }
            Self::MetadataDropped => {
                for name in headers.keys().filter(|name| is_metadata(name.as_str())) {
                    noticed.remove(name);
                }
            }
            _ => {}
        }
        noticed
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        // The test below holds the table complete; the first row is never taken for a fault that is missing from it.
        TABLE.iter().find(|(fault, _, _)| *fault == self).unwrap_or(&TABLE[0])
    }
}

/// Whether a header brings metadata, in either protocol.
fn is_metadata(header: &str) -> bool {
    header.starts_with("x-ms-meta-") || header == "x-ms-properties"
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let row = TABLE.iter().find(|(_, known, _)| *known == name);
        row.map(|(fault, _, _)| *fault)
            .ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_the_table_under_its_own_name() {
        for fault in Fault::all() {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(fault.row().0, fault);
        }
        assert_eq!(
            Fault::MetadataDropped as usize + 1,
            TABLE.len(),
            "a variant is missing from the table"
        );
    }

    #[test]
    fn the_doc_table_names_every_fault() {
        let source = include_str!("faults.rs");
        for fault in Fault::all() {
            assert!(
                source.contains(&format!("/// | `{fault}` |")),
                "{fault} has no row in the doc table"
            );
        }
    }
}
