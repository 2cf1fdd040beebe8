//! Measures the result processor: results to rows.
//!
//! - [`raw`]: the bare loops

mod raw;

use std::time::Duration;

use jiff::{Timestamp, civil::date};

use crate::bench::{Bench, counted, rate};
use crate::kafka::Sender;
use crate::report::Report;
use xact_contracts::messages::DownloadResult;
use xact_contracts::time;
use xact_lake::AttachmentRow;
use xact_testkit::events::completed;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Result, ids};

const RESULTS: &str = "xact.downloads.results";
/// Default of `RESULT_BATCH_SIZE`.
const BATCH: usize = 2000;
const PARTITIONS: i32 = 6;
/// Time between two readings of the metrics, which cost CPU time of the handler.
const READING_INTERVAL: Duration = Duration::from_millis(50);

/// Rates, and the CPU time of 100,000 rows.
struct Measured {
    rows_per_second: f64,
    cpu_seconds: f64,
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    fn of(rows: u64, seconds: f64, cpu_seconds: f64) -> Self {
        Self {
            rows_per_second: rows as f64 / seconds,
            cpu_seconds: cpu_seconds * 100_000.0 / rows as f64,
        }
    }
}

pub(crate) fn measure(bench: &mut Bench, results: u64, report: &mut Report) -> Result<()> {
    let append = raw::append(&bench.fleet.dir.join("raw"), results)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    for number in 0..results {
        let trace_id = trace_id(number);
        sender.send(RESULTS, trace_id.as_bytes(), &completed(&trace_id, &url(&trace_id)))?;
    }
    sender.flush()?;
    let consumed = bench.fleet.dir.join("raw-consumed");
    let whole = raw::consume_and_append(bench.kafka.bootstrap(), &consumed, results)?;
    let product = product(bench, results)?;
    for (raw, of) in [
        (&whole, "a bare consumer that appends"),
        (&append, "appending rows from memory"),
    ] {
        let what = format!("results into Delta, batches of 2000, next to {of}");
        report.pair(what, "rows/s", product.rows_per_second, raw.rows_per_second);
        let what = format!("the same: CPU time of 100,000 rows, next to {of}");
        report.pair(what, "CPU s", product.cpu_seconds, raw.cpu_seconds);
    }
    if let Some(kib) = bench.fleet["result-processor"].process.most_resident_kib() {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
        report.figure("result-processor: most resident memory", "MiB", kib as f64 / 1024.0);
    }
    Ok(())
}

/// Measures the handler, from the first rows that it has written to the last.
fn product(bench: &mut Bench, results: u64) -> Result<Measured> {
    bench.fleet.start(&["result-processor"])?;
    let labels = [("table", "xact_attachments")];
    let processor = &bench.fleet["result-processor"];
    let mut first = None;
    let rows_per_second = rate("all rows are written", results, || {
        std::thread::sleep(READING_INTERVAL);
        let rows = counted(processor, "delta_events_written_total", &labels);
        if first.is_none() && rows > 0 {
            first = Some((rows, cpu_seconds(processor.process.id())?));
        }
        Ok(rows)
    })?;
    let (already, from) = first.unwrap_or_default();
    let used = cpu_seconds(processor.process.id())? - from;
    Ok(Measured {
        rows_per_second,
        ..Measured::of(results - already, f64::NAN, used)
    })
}

/// Returns the row of a result as it is, without redaction and checks.
fn row_of(result: DownloadResult) -> AttachmentRow {
    AttachmentRow {
        media_id: result.media_id.to_string(),
        attachment_url: Some(result.attachment_url),
        blob_path: Some(result.blob_path),
        trace_id: Some(result.trace_id),
        file_type: Some(result.file_type),
        status_subtype: Some(result.status_subtype),
        assignment_id: Some(result.assignment_id),
        content_type: result.content_type,
        declared_content_type: result.declared_content_type,
        sha256: result.sha256,
        bytes_downloaded: i64::try_from(result.bytes_downloaded).ok(),
        retry_count: i32::try_from(result.retry_count).ok(),
        downloaded_at: result.downloaded_at,
        created_at: result.created_at,
        event_date: time::utc_date(result.original_timestamp),
    }
}

fn trace_id(number: u64) -> String {
    format!("bench-{number:08}")
}

fn url(trace_id: &str) -> String {
    format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf")
}

/// Returns the row of the result that [`measure`] sends for this event.
pub(crate) fn row(trace_id: &str) -> AttachmentRow {
    let now = Timestamp::UNIX_EPOCH;
    AttachmentRow {
        media_id: ids::media_id(trace_id, &url(trace_id)),
        attachment_url: Some(url(trace_id)),
        blob_path: Some(format!("documentsReceived/A1/{trace_id}/A1_a.pdf")),
        trace_id: Some(trace_id.to_owned()),
        file_type: Some("PDF".to_owned()),
        status_subtype: Some("documentsReceived".to_owned()),
        assignment_id: Some("A1".to_owned()),
        content_type: None,
        declared_content_type: None,
        sha256: Some("00".to_owned()),
        bytes_downloaded: Some(5),
        retry_count: Some(0),
        downloaded_at: Some(now),
        created_at: now,
        event_date: date(2024, 12, 31),
    }
}
