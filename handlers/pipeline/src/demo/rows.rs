//! The rows of the three tables, by the id of the event or the attachment.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::outcome::CommandError;
use xact_config::Settings;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, EventRow, FailedRow};
use xact_operations::columns::{instant, number, size, text};
use xact_table_sink::{Configured, table};

/// A row about an attachment.
pub(super) struct Row {
    pub(super) created_at: Timestamp,
    pub(super) retry_count: i32,
    /// `None` for a failed attachment.
    pub(super) file: Option<RowFile>,
}

/// The file of a completed attachment as its row describes it.
pub(super) struct RowFile {
    pub(super) path: String,
    pub(super) bytes: i64,
    pub(super) sha256: String,
}

type ById<T> = HashMap<String, Vec<T>>;

/// All rows.
pub(super) struct Rows {
    /// When each row of an event was written.
    pub(super) events: ById<Timestamp>,
    pub(super) completed: ById<Row>,
    pub(super) failed: ById<Row>,
}

impl Rows {
    pub(super) async fn read(settings: &Settings) -> Result<Self, CommandError> {
        let events = read::<EventRow, _>(settings, &["event_id", "ingested_at"], |batch, row| {
            instant(batch, "ingested_at", row)
        });
        let file_columns = [
            "media_id",
            "created_at",
            "retry_count",
            "blob_path",
            "bytes_downloaded",
            "sha256",
        ];
        let completed = read::<AttachmentRow, _>(settings, &file_columns, |batch, row| Row {
            file: Some(RowFile {
                path: text(batch, "blob_path", row).to_owned(),
                sha256: text(batch, "sha256", row).to_owned(),
                bytes: size(batch, "bytes_downloaded", row),
            }),
            ..failed_row(batch, row)
        });
        let failed = read::<FailedRow, _>(settings, &["media_id", "created_at", "retry_count"], failed_row);
        Ok(Self {
            events: events.await?,
            completed: completed.await?,
            failed: failed.await?,
        })
    }
}

fn failed_row(batch: &RecordBatch, row: usize) -> Row {
    Row {
        created_at: instant(batch, "created_at", row),
        retry_count: number(batch, "retry_count", row),
        file: None,
    }
}

/// Reads the columns of a table; the first is the id.
async fn read<R: Configured, T>(
    settings: &Settings,
    columns: &[&str],
    value: impl Fn(&RecordBatch, usize) -> T,
) -> Result<ById<T>, CommandError> {
    let mut rows = ById::new();
    for batch in table::<R>(settings)?.scan(columns).await? {
        for row in 0..batch.num_rows() {
            let id = text(&batch, columns[0], row).to_owned();
            rows.entry(id).or_insert_with(Vec::new).push(value(&batch, row));
        }
    }
    Ok(rows)
}
