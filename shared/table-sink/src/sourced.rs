//! A row with the record that it came from.

use xact_lake::{Source, Sourced};
use xact_runtime::Delivered;

/// Adds the record's position to its row. A record that did not come from the topic (`/invoke`) has none.
pub fn sourced<I, R>(record: &Delivered<I>, row: R) -> Sourced<R> {
    let source = record.app_id.clone().map(|app_id| Source {
        app_id,
        offset: record.source.offset,
    });
    Sourced { row, source }
}
