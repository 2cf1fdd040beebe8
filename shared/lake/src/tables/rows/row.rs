//! What the three tables have in common: a key, a partition, and columns.

use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{StructField, StructType};
use jiff::civil::Date;

/// The partition column of all three tables: the date of the event itself, so that a key always has one date.
pub(crate) const EVENT_DATE: &str = "event_date";

/// What makes a row unique within its `event_date`.
///
/// Any string will do as an id; nothing is assumed of its form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `event_id` or `media_id`.
    pub id: Arc<str>,
    /// `replay_count`, in the table whose key has it.
    pub replay_count: Option<i32>,
}

impl Key {
    /// A key of `xact_events` or `xact_attachments`.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            replay_count: None,
        }
    }

    /// A key of `xact_attachments_failed`.
    #[must_use]
    pub fn with_replay(media_id: &str, replay_count: i32) -> Self {
        Self {
            id: media_id.into(),
            replay_count: Some(replay_count),
        }
    }
}

/// A row of one of the tables.
pub trait TableRow: Send + Sync + 'static {
    /// The table's name.
    const NAME: &'static str;
    /// The column that the key's id is in; it is the one with the bloom filter.
    const KEY_COLUMN: &'static str;
    /// The column of the key's `replay_count`, if it has one.
    const REPLAY_COLUMN: Option<&'static str> = None;
    /// The columns whose least and greatest values are kept in the log. The others would only make it bigger.
    const STATISTICS: &'static [&'static str];
    /// Columns that tables of earlier versions of the pipeline lack: the first append adds them. They may be null.
    const ADDED_LATER: &'static [&'static str] = &[];

    /// The columns in their order, as Delta knows them.
    fn delta_schema() -> Vec<StructField>;

    /// What makes this row unique within its date.
    fn key(&self) -> Key;

    /// The partition that the row belongs to.
    fn event_date(&self) -> Date;

    /// The rows as arrow columns, `event_date` among them, in the order of the schema.
    ///
    /// # Errors
    /// None that a caller can cause; arrow checks the lengths once more.
    fn to_record_batch(rows: &[&Self]) -> Result<RecordBatch, ArrowError>;
}

/// The columns of a row as arrow knows them.
pub(crate) fn arrow_schema<R: TableRow>() -> Result<SchemaRef, ArrowError> {
    let schema = StructType::try_new(R::delta_schema()).map_err(|error| ArrowError::SchemaError(error.to_string()))?;
    let schema: Schema = (&schema).try_into_arrow()?;
    Ok(Arc::new(schema))
}
