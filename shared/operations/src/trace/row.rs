//! The rows of an event, as they were found.

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::life::RowPlace;
use crate::columns::{instant, number, size, text};
use xact_lake::arrow::array::{AsArray, RecordBatch};
use xact_lake::arrow::datatypes::Date32Type;
use xact_lake::{AttachmentRow, EventRow, FailedRow, FoundRows, TableRow};

/// A row of `xact_events`.
#[derive(Debug, Clone)]
pub(super) struct EventRowFound {
    pub(super) place: RowPlace,
    pub(super) event_type: String,
    pub(super) assignment_id: String,
    pub(super) claim_number: String,
    pub(super) event_timestamp: Timestamp,
    pub(super) ingested_at: Timestamp,
    pub(super) attachments: String,
    pub(super) raw_json: String,
}

/// A row of `xact_attachments`.
#[derive(Debug, Clone)]
pub(super) struct AttachmentRowFound {
    pub(super) place: RowPlace,
    /// `None` for a foreign id.
    pub(super) media_id: Option<Uuid>,
    pub(super) trace_id: String,
    pub(super) attachment_url: String,
    pub(super) blob_path: String,
    pub(super) assignment_id: String,
    pub(super) sha256: String,
    pub(super) bytes: Option<u64>,
    pub(super) created_at: Timestamp,
}

/// A row of `xact_attachments_failed`.
#[derive(Debug, Clone)]
pub(super) struct FailedRowFound {
    pub(super) place: RowPlace,
    /// `None` for a foreign id.
    pub(super) media_id: Option<Uuid>,
    pub(super) trace_id: String,
    pub(super) attachment_url: String,
    pub(super) assignment_id: String,
    pub(super) error_category: String,
    pub(super) error_message: String,
    pub(super) http_status: Option<u16>,
    pub(super) retry_count: u32,
    pub(super) replay_count: u32,
    pub(super) created_at: Timestamp,
}

impl EventRowFound {
    pub(super) fn of_rows(found: &FoundRows) -> Vec<Self> {
        rows::<EventRow, _>(found, |place, batch, row| {
            let column = |name| text(batch, name, row).to_owned();
            Self {
                place,
                event_type: column("type"),
                assignment_id: column("assignment_id"),
                claim_number: column("claim_number"),
                event_timestamp: instant(batch, "event_timestamp", row),
                ingested_at: instant(batch, "ingested_at", row),
                attachments: column("attachments"),
                raw_json: column("raw_json"),
            }
        })
    }
}

impl AttachmentRowFound {
    pub(super) fn of_rows(found: &FoundRows) -> Vec<Self> {
        rows::<AttachmentRow, _>(found, |place, batch, row| {
            let column = |name| text(batch, name, row).to_owned();
            Self {
                place,
                media_id: column("media_id").parse().ok(),
                trace_id: column("trace_id"),
                attachment_url: column("attachment_url"),
                blob_path: column("blob_path"),
                assignment_id: column("assignment_id"),
                sha256: column("sha256"),
                bytes: u64::try_from(size(batch, "bytes_downloaded", row)).ok(),
                created_at: instant(batch, "created_at", row),
            }
        })
    }
}

impl FailedRowFound {
    pub(super) fn of_rows(found: &FoundRows) -> Vec<Self> {
        rows::<FailedRow, _>(found, |place, batch, row| {
            let column = |name| text(batch, name, row).to_owned();
            let count = |name| u32::try_from(number(batch, name, row)).unwrap_or(0);
            Self {
                place,
                media_id: column("media_id").parse().ok(),
                trace_id: column("trace_id"),
                attachment_url: column("attachment_url"),
                assignment_id: column("assignment_id"),
                error_category: column("error_category"),
                error_message: column("error_message"),
                http_status: u16::try_from(count("http_status")).ok().filter(|status| *status > 0),
                retry_count: count("retry_count"),
                replay_count: count("replay_count"),
                created_at: instant(batch, "created_at", row),
            }
        })
    }
}

fn rows<R: TableRow, T>(found: &FoundRows, read: impl Fn(RowPlace, &RecordBatch, usize) -> T) -> Vec<T> {
    let mut rows = Vec::new();
    for batch in &found.batches {
        for row in 0..batch.num_rows() {
            let place = RowPlace {
                table: R::NAME,
                event_date: date(batch, row),
                table_version: found.version,
            };
            rows.push(read(place, batch, row));
        }
    }
    rows
}

fn date(batch: &RecordBatch, row: usize) -> Date {
    let column = batch.column_by_name("event_date");
    let days = column
        .and_then(|column| column.as_primitive_opt::<Date32Type>())
        .map(|column| column.value(row));
    let epoch = Date::constant(1970, 1, 1);
    days.and_then(|days| epoch.checked_add(jiff::Span::new().try_days(days).ok()?).ok())
        .unwrap_or(epoch)
}
