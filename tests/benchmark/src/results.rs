//! Measures the result processor: results to rows.
//!
//! - [`raw`]: the bare loop

mod raw;

use jiff::{Timestamp, civil::date};

use crate::bench::{Bench, counted, rate};
use crate::cpu;
use crate::kafka::Sender;
use crate::report::Report;
use xact_lake::AttachmentRow;
use xact_testkit::events::completed;
use xact_testkit::{Result, ids};

const RESULTS: &str = "xact.downloads.results";
/// Default of `RESULT_BATCH_SIZE`.
const BATCH: u64 = 2000;

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
    let raw = raw::append(&bench.fleet.dir.join("raw"), results)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    for number in 0..results {
        let trace_id = trace_id(number);
        sender.send(RESULTS, trace_id.as_bytes(), &completed(&trace_id, &url(&trace_id)))?;
    }
    sender.flush()?;
    let product = product(bench, results)?;
    let what = "results into Delta, batches of 2000";
    report.pair(what, "rows/s", product.rows_per_second, raw.rows_per_second);
    let what = "results into Delta, CPU time of 100,000 rows";
    report.pair(what, "CPU s", product.cpu_seconds, raw.cpu_seconds);
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
        let rows = counted(processor, "delta_events_written_total", &labels);
        if first.is_none() && rows > 0 {
            first = Some((rows, cpu::seconds(processor.process.id())?));
        }
        Ok(rows)
    })?;
    let (already, from) = first.unwrap_or_default();
    let cpu_seconds = cpu::seconds(processor.process.id())? - from;
    Ok(Measured {
        rows_per_second,
        ..Measured::of(results - already, f64::NAN, cpu_seconds)
    })
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
