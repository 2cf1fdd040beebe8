//! Follows one event through the pipeline.

use std::num::TryFromIntError;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;
use uuid::Uuid;

use super::error::ValidateError;
use super::steps::{Step, Steps};
use crate::columns::{instant, number, size, text};
use crate::delivery::Delivery;
use crate::files;
use xact_config::Settings;
use xact_contracts::{ids, time};
use xact_kafka::Outgoing;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, Content, EventRow, FailedRow, FileError, FileStore, Key, Table, TableError, TableRow};
use xact_telemetry::trace_context::TraceContext;

/// Time between two reads of a table.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// One event on its way.
pub(super) struct Follower {
    pub(super) trace_id: String,
    sent_at: Timestamp,
    date: Date,
    media_id: Uuid,
    events: Table<EventRow>,
    attachments: Table<AttachmentRow>,
    failed: Table<FailedRow>,
    files: Arc<dyn FileStore>,
}

/// Reasons why an event did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    /// The attachment ended in the table of the failed ones.
    #[error("the attachment failed ({category}{status}): {message}")]
    AttachmentFailed {
        category: String,
        /// `, HTTP 404`, or nothing.
        status: String,
        message: String,
    },
    /// The row describes another file.
    #[error("the row exists, but the file at {path} does not match it ({bytes} bytes, SHA-256 {sha256})")]
    WrongFile { path: String, bytes: i64, sha256: String },
    /// The row has a negative size.
    #[error(transparent)]
    Size(#[from] TryFromIntError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The row of a completed attachment.
#[derive(Default)]
struct Completed {
    path: String,
    bytes: i64,
    sha256: String,
    downloaded_at: Timestamp,
    written_at: Timestamp,
}

impl Follower {
    pub(super) fn new(settings: &Settings, attachment: &str) -> Result<Self, ValidateError> {
        let sent_at = Timestamp::now();
        let trace_id = format!("validate-{}", Uuid::new_v4());
        Ok(Self {
            media_id: ids::media_id(&trace_id, attachment),
            trace_id,
            sent_at,
            date: time::utc_date(sent_at),
            events: xact_table_sink::table(settings)?,
            attachments: xact_table_sink::table(settings)?,
            failed: xact_table_sink::table(settings)?,
            files: files::open(settings)?,
        })
    }

    /// Sends the event.
    pub(super) async fn send(&self, settings: &Settings, attachment: &str) -> Result<(), ValidateError> {
        let event = json!({
            "trace_id": self.trace_id,
            "event_type": "documentsReceived",
            "event_subtype": "xact",
            "timestamp": time::format(self.sent_at),
            "source_system": "xact-pipeline validate",
            "payload": {"assignmentId": "validate"},
            "attachments": [attachment],
        });
        let outgoing = Outgoing {
            topic: settings.topics.raw.clone(),
            key: self.trace_id.clone(),
            value: event.to_string().into_bytes(),
            trace: TraceContext::new(),
        };
        let delivery = Delivery::new(settings.cluster_of_events())?;
        Ok(delivery.send(&[outgoing]).await?)
    }

    /// Waits until everything is there, in the order in which it happens.
    pub(super) async fn follow(&self, steps: &mut Steps<impl FnMut(&Step)>) -> Result<(), FollowError> {
        let event = Key::new(&ids::event_id(&self.trace_id).to_string());
        wait_for_row(&self.events, self.date, &event).await?;
        steps.now("event's row", EventRow::NAME);
        let attachment = Key::new(&self.media_id.to_string());
        let failure = Key::with_replay(&self.media_id.to_string(), 0);
        tokio::select! {
            arrived = wait_for_row(&self.attachments, self.date, &attachment) => arrived?,
            failed = wait_for_row(&self.failed, self.date, &failure) => {
                failed?;
                return Err(self.failure().await?);
            }
        }
        let row = self.completed().await?;
        let bytes = format!("{} bytes", row.bytes);
        steps.at("file downloaded", row.downloaded_at, self.sent_at, bytes);
        steps.at(
            "attachment's row written",
            row.written_at,
            self.sent_at,
            AttachmentRow::NAME,
        );
        let content = Content {
            bytes: u64::try_from(row.bytes)?,
            sha256: &row.sha256,
        };
        if !self.files.holds(&row.path, content).await? {
            return Err(FollowError::WrongFile {
                path: row.path,
                bytes: row.bytes,
                sha256: row.sha256,
            });
        }
        steps.now("file verified", format!("{}, SHA-256 {}", row.path, row.sha256));
        Ok(())
    }

    async fn completed(&self) -> Result<Completed, TableError> {
        let columns = [
            "media_id",
            "blob_path",
            "bytes_downloaded",
            "sha256",
            "downloaded_at",
            "created_at",
        ];
        let mut row = Completed::default();
        let visit = |batch: &RecordBatch, index| {
            row = Completed {
                path: text(batch, "blob_path", index).to_owned(),
                bytes: size(batch, "bytes_downloaded", index),
                sha256: text(batch, "sha256", index).to_owned(),
                downloaded_at: instant(batch, "downloaded_at", index),
                written_at: instant(batch, "created_at", index),
            };
        };
        self.rows_of_attachment(&self.attachments, &columns, visit).await?;
        Ok(row)
    }

    async fn failure(&self) -> Result<FollowError, TableError> {
        let columns = ["media_id", "error_category", "error_message", "http_status"];
        let (mut category, mut status, mut message) = (String::new(), String::new(), String::new());
        let visit = |batch: &RecordBatch, index| {
            category = text(batch, "error_category", index).to_owned();
            message = text(batch, "error_message", index).to_owned();
            let code = number(batch, "http_status", index);
            status = if code == 0 {
                String::new()
            } else {
                format!(", HTTP {code}")
            };
        };
        self.rows_of_attachment(&self.failed, &columns, visit).await?;
        Ok(FollowError::AttachmentFailed {
            category,
            status,
            message,
        })
    }

    /// Passes the rows of the attachment to `visit`.
    async fn rows_of_attachment<R: TableRow>(
        &self,
        table: &Table<R>,
        columns: &[&str],
        mut visit: impl FnMut(&RecordBatch, usize) + Send,
    ) -> Result<(), TableError> {
        let media_id = self.media_id.to_string();
        table
            .for_each_batch(columns, self.date, |batch: &RecordBatch| {
                for index in (0..batch.num_rows()).filter(|index| text(batch, "media_id", *index) == media_id) {
                    visit(batch, index);
                }
            })
            .await
    }
}

async fn wait_for_row<R: TableRow>(table: &Table<R>, date: Date, key: &Key) -> Result<(), TableError> {
    let keys = [key.clone()];
    while !table.existing_keys(date, &keys).await?.contains(key) {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
