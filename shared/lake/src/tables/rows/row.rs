//! What rows of the tables have in common: a key, a partition, and columns.

use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{StructField, StructType};
use jiff::civil::Date;

use xact_contracts::ids::AppId;

/// The partition column of all tables: the date of the event itself, so that a key always has the same date.
pub(crate) const EVENT_DATE: &str = "event_date";

/// What makes a row unique within its `event_date`.
///
/// An id can be any string; nothing is assumed about its form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `event_id`, `media_id` or `reconciliation_id`.
    pub id: Arc<str>,
    /// `replay_count`, in the table whose key has it.
    pub replay_count: Option<i32>,
}

impl Key {
    /// Returns a key of an id alone.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            replay_count: None,
        }
    }

    /// Returns a key of `xact_attachments_failed`.
    #[must_use]
    pub fn with_replay(media_id: &str, replay_count: i32) -> Self {
        Self {
            id: media_id.into(),
            replay_count: Some(replay_count),
        }
    }
}

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

/// A row of one of the tables.
pub trait TableRow: Send + Sync + 'static {
    /// The table's name.
    const NAME: &'static str;
    /// The column of the key's id; it has a bloom filter.
    const KEY_COLUMN: &'static str;
    /// The column of the key's `replay_count`, if it has one.
    const REPLAY_COLUMN: Option<&'static str> = None;
    /// The columns whose minimum and maximum are stored in the log. Those of others would only make it larger.
    const STATISTICS: &'static [&'static str];
    /// Columns that tables of earlier versions of the pipeline lack: the first append adds them. They are nullable.
    const ADDED_LATER: &'static [&'static str] = &[];

    /// Returns the columns in their order.
    fn delta_schema() -> Vec<StructField>;

    /// Returns what makes this row unique within its date.
    fn key(&self) -> Key;

    /// Returns the partition of the row.
    fn event_date(&self) -> Date;

    /// Returns the rows as arrow columns, `event_date` included, in the order of the schema.
    ///
    /// # Errors
    /// None that a caller can cause; arrow checks the lengths again.
    fn to_record_batch(rows: &[&Self]) -> Result<RecordBatch, ArrowError>;
}

/// Returns the columns of a row as an arrow schema.
pub(crate) fn arrow_schema<R: TableRow>() -> Result<SchemaRef, ArrowError> {
    let schema = StructType::try_new(R::delta_schema()).map_err(|error| ArrowError::SchemaError(error.to_string()))?;
    let schema: Schema = (&schema).try_into_arrow()?;
    Ok(Arc::new(schema))
}
