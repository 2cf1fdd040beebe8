//! Where a row came from.

use xact_contracts::ids::AppId;

/// A row and where it came from. Without a source (HTTP invoke) the key alone tells whether it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<R> {
    /// The row.
    pub row: R,
    /// The message that it came from.
    pub source: Option<Source>,
}

/// A message's place in its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `{group}:{topic}:{partition}`.
    pub app_id: AppId,
    /// The message's offset.
    pub offset: i64,
}
