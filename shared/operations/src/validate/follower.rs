//! Follows one event through the pipeline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::columns::{instant, number, size, text};
use crate::delivery::Delivery;
use crate::error::{OperationError, refuse};
use crate::files;
use xact_config::Settings;
use xact_contracts::{ids, time};
use xact_kafka::Outgoing;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, Content, EventRow, FailedRow, FileStore, Key, Table, TableError, TableRow};
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
    pub(super) fn new(settings: &Settings, attachment: &str) -> Result<Self, OperationError> {
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

    /// Sends the event, as a part of the trace.
    pub(super) async fn send(
        &self,
        settings: &Settings,
        attachment: &str,
        trace: TraceContext,
    ) -> Result<(), OperationError> {
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
            trace,
        };
        let delivery = Delivery::new(settings.cluster_of_events())?;
        delivery.send(&[outgoing]).await
    }

    /// Waits until everything is there, in the order in which it happens.
    pub(super) async fn follow(&self, steps: &mut Steps<impl FnMut(&Step)>) -> Result<(), OperationError> {
        let event = Key::new(&ids::event_id(&self.trace_id).to_string());
        wait_for_row(&self.events, self.date, &event).await?;
        steps.now("event's row", EventRow::NAME);
        let attachment = Key::new(&self.media_id.to_string());
        let failure = Key::with_replay(&self.media_id.to_string(), 0);
        tokio::select! {
            arrived = wait_for_row(&self.attachments, self.date, &attachment) => arrived?,
            failed = wait_for_row(&self.failed, self.date, &failure) => {
                failed?;
                return Err(self.failure().await?.into());
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
            bytes: u64::try_from(row.bytes).map_err(|error| error.to_string())?,
            sha256: &row.sha256,
        };
        if !self.files.holds(&row.path, content).await? {
            return refuse(format!(
                "the row exists, but the file at {} does not match it ({} bytes, SHA-256 {})",
                row.path, row.bytes, row.sha256
            ));
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

    /// Returns why the attachment failed.
    async fn failure(&self) -> Result<String, TableError> {
        let columns = ["media_id", "error_category", "error_message", "http_status"];
        let mut failure = String::new();
        let visit = |batch: &RecordBatch, index| {
            let column = |name| text(batch, name, index);
            let status = match number(batch, "http_status", index) {
                0 => String::new(),
                code => format!(", HTTP {code}"),
            };
            let (category, message) = (column("error_category"), column("error_message"));
            failure = format!("the attachment failed ({category}{status}): {message}");
        };
        self.rows_of_attachment(&self.failed, &columns, visit).await?;
        Ok(failure)
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

/// A step of an event.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name.
    pub step: &'static str,
    /// Seconds after the event was sent.
    pub seconds: f64,
    /// What was found. It may be of the event: escape control characters before printing.
    pub details: String,
}

/// The steps so far.
pub(super) struct Steps<F> {
    started: Instant,
    report: F,
    pub(super) done: Vec<Step>,
}

impl<F: FnMut(&Step)> Steps<F> {
    pub(super) fn new(report: F) -> Self {
        Self {
            started: Instant::now(),
            report,
            done: Vec::new(),
        }
    }

    /// Adds a step that was just observed.
    pub(super) fn now(&mut self, step: &'static str, details: impl Into<String>) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.add(step, seconds, details.into());
    }

    /// Adds a step whose time is in a row.
    pub(super) fn at(&mut self, step: &'static str, at: Timestamp, sent: Timestamp, details: impl Into<String>) {
        self.add(step, at.duration_since(sent).as_secs_f64(), details.into());
    }

    fn add(&mut self, step: &'static str, seconds: f64, details: String) {
        // An event of the run's span.
        tracing::info!(step, seconds);
        let step = Step { step, seconds, details };
        (self.report)(&step);
        self.done.push(step);
    }
}
