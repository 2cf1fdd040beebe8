//! Where a row came from.

use xact_contracts::ids::AppId;

/// A row and its source. Without a source (HTTP invoke) the key alone decides whether the row is in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<R> {
    /// The row.
    pub row: R,
    /// The message that it came from.
    pub source: Option<Source>,
}

/// A message's partition and offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The partition, as a consumer group reads it.
    pub app_id: AppId,
    /// The message's offset.
    pub offset: i64,
}
