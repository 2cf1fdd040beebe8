//! `validate`: the rollout's smoke test. Sends one event, follows it to the file and the rows, and prints what took how
//! long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;
use uuid::Uuid;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table as Printed;
use crate::ui::text::visible;
use xact_config::{Environment, Settings};
use xact_contracts::ids;
use xact_contracts::redaction::redact_url;
use xact_kafka::Outgoing;
use xact_lake::{AttachmentRow, Content, EventRow, FailedRow, FileStore, Key, Table, TableRow};
use xact_operations::columns::{instant, number, size, text};
use xact_operations::delivery::Delivery;
use xact_telemetry::trace_context::TraceContext;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Between two looks at the tables.
const LOOK: Duration = Duration::from_millis(250);
/// The sample server's, in development.
const SAMPLE: &str = "ok/20000/validate/sample.pdf";

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// A URL that the pipeline may download: https, an allowed host, a file of an allowed type. In development the
    /// sample server has one
    #[arg(long, value_name = "URL")]
    attachment: Option<String>,
    /// How long to wait for the rows, in seconds. Stages that sleep at zero replicas take about a minute to wake
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Sends and follows; false if something did not arrive.
pub(crate) async fn run(environment: &Environment, arguments: Validate) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    if !settings.delta_writes {
        return Err("ENABLE_DELTA_WRITES=false: without its rows an event cannot be followed".into());
    }
    let attachment = attachment(&settings, arguments.attachment)?;
    let follower = Follower::new(&settings, &attachment)?;
    let mut steps = Steps::new();
    follower.send(&settings, &attachment).await?;
    steps.done(
        "event acknowledged",
        format!("{} on {}", follower.trace_id, settings.topics.raw),
    );
    let limit = Duration::from_secs(arguments.timeout);
    let arrived = tokio::time::timeout(limit, follower.follow(&mut steps)).await;
    let verdict = match arrived {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!(
            "nothing more came within {} s: see `xact-pipeline topics lag` for the stage that is behind, its \
             /health/ready, and `xact-pipeline check`",
            limit.as_secs()
        )),
    };
    Ok(ExitStatus::from(steps.print(verdict.as_deref())))
}

/// What is to be downloaded: checked here, as the pipeline will, so that a mistake is told at once.
fn attachment(settings: &Settings, given: Option<String>) -> Result<String, Error> {
    let url = match (given, settings.dev.is_some()) {
        (Some(url), _) => url.trim().to_owned(),
        (None, true) => {
            let host = settings
                .allowed_hosts
                .first()
                .ok_or("ALLOWED_ATTACHMENT_DOMAINS is empty")?;
            format!("https://{host}/{SAMPLE}")
        }
        (None, false) => {
            return Err(
                "give --attachment URL: a file that the pipeline may download (`xact-pipeline explain URL` says \
                        whether it may)"
                    .into(),
            );
        }
    };
    let policy = settings.url_policy();
    let parsed = policy
        .check(&url)
        .map_err(|refusal| format!("{}: {refusal}", redact_url(&url)))?;
    xact_contracts::file_rules::named_type(&parsed).map_err(|refusal| format!("{}: {refusal}", redact_url(&url)))?;
    Ok(url)
}

/// One event on its way.
struct Follower {
    trace_id: String,
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
    fn new(settings: &Settings, attachment: &str) -> Result<Self, Error> {
        let sent_at = Timestamp::now();
        let trace_id = format!("validate-{}", Uuid::new_v4());
        Ok(Self {
            media_id: ids::media_id(&trace_id, attachment),
            trace_id,
            sent_at,
            date: TimeZone::UTC.to_datetime(sent_at).date(),
            events: xact_table_sink::table(settings)?,
            attachments: xact_table_sink::table(settings)?,
            failed: xact_table_sink::table(settings)?,
            files: upload::open_files(settings)?,
        })
    }

    async fn send(&self, settings: &Settings, attachment: &str) -> Result<(), Error> {
        let event = json!({
            "trace_id": self.trace_id,
            "event_type": "documentsReceived",
            "event_subtype": "xact",
            "timestamp": xact_contracts::time::format(self.sent_at),
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

    /// Until everything is there, in the order in which it happens.
    async fn follow(&self, steps: &mut Steps) -> Result<(), Error> {
        let event = Key::new(&ids::event_id(&self.trace_id).to_string());
        arrive(&self.events, self.date, &event).await?;
        steps.done("event's row", EventRow::NAME);
        let attachment = Key::new(&self.media_id.to_string());
        let failure = Key::with_replay(&self.media_id.to_string(), 0);
        tokio::select! {
            arrived = arrive(&self.attachments, self.date, &attachment) => arrived?,
            failed = arrive(&self.failed, self.date, &failure) => {
                failed?;
                return Err(self.why().await?.into());
            }
        }
        let row = self.completed().await?;
        steps.at(
            "file downloaded",
            row.downloaded_at,
            self.sent_at,
            format!("{} bytes", row.bytes),
        );
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
            return Err(format!(
                "the row is there, and the file at {} is not the one that it describes ({} bytes, SHA-256 {})",
                row.path, row.bytes, row.sha256
            )
            .into());
        }
        steps.done("file looked at", format!("{}, SHA-256 {}", row.path, row.sha256));
        Ok(())
    }

    async fn completed(&self) -> Result<Completed, Error> {
        let columns = [
            "media_id",
            "blob_path",
            "bytes_downloaded",
            "sha256",
            "downloaded_at",
            "created_at",
        ];
        let media_id = self.media_id.to_string();
        let mut row = Completed::default();
        let visit = |batch: &xact_lake::arrow::array::RecordBatch| {
            for index in (0..batch.num_rows()).filter(|index| text(batch, "media_id", *index) == media_id) {
                row = Completed {
                    path: text(batch, "blob_path", index).to_owned(),
                    bytes: size(batch, "bytes_downloaded", index),
                    sha256: text(batch, "sha256", index).to_owned(),
                    downloaded_at: instant(batch, "downloaded_at", index),
                    written_at: instant(batch, "created_at", index),
                };
            }
        };
        self.attachments.for_each_batch(&columns, self.date, visit).await?;
        Ok(row)
    }

    async fn why(&self) -> Result<String, Error> {
        let columns = ["media_id", "error_category", "error_message", "http_status"];
        let media_id = self.media_id.to_string();
        let mut why = String::new();
        let visit = |batch: &xact_lake::arrow::array::RecordBatch| {
            for index in (0..batch.num_rows()).filter(|index| text(batch, "media_id", *index) == media_id) {
                let status = match number(batch, "http_status", index) {
                    0 => String::new(),
                    status => format!(", HTTP {status}"),
                };
                why = format!(
                    "the attachment failed ({}{status}): {}",
                    text(batch, "error_category", index),
                    text(batch, "error_message", index)
                );
            }
        };
        self.failed.for_each_batch(&columns, self.date, visit).await?;
        Ok(why)
    }
}

async fn arrive<R: TableRow>(table: &Table<R>, date: Date, key: &Key) -> Result<(), Error> {
    let keys = [key.clone()];
    while !table.existing_keys(date, &keys).await?.contains(key) {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// What was done, and when.
struct Steps {
    started: Instant,
    rows: Vec<[String; 3]>,
}

impl Steps {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            rows: Vec::new(),
        }
    }

    /// Seen just now.
    fn done(&mut self, step: &str, what: impl Into<String>) {
        let after = self.started.elapsed();
        self.add(step, after.as_secs_f64(), what);
    }

    /// As the row itself says.
    fn at(&mut self, step: &str, at: Timestamp, sent: Timestamp, what: impl Into<String>) {
        self.add(step, at.duration_since(sent).as_secs_f64(), what);
    }

    fn add(&mut self, step: &str, seconds: f64, what: impl Into<String>) {
        self.rows
            .push([step.to_owned(), format!("{seconds:.2} s"), what.into()]);
    }

    #[allow(clippy::print_stdout)]
    fn print(self, trouble: Option<&str>) -> bool {
        let mut steps = Printed::new(&["step", "after", "what"]);
        for row in self.rows {
            steps.add_row(row.map(|cell| visible(&cell)));
        }
        println!("{steps}");
        match trouble {
            None => println!("the pipeline works: the event is in the tables, and its file is in the lake"),
            Some(trouble) => println!("NOT VALID: {}", visible(trouble)),
        }
        trouble.is_none()
    }
}
