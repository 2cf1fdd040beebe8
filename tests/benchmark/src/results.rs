//! Measures the result processor: results to rows.

use std::fs::File;
use std::time::Instant;

use deltalake::arrow::record_batch::RecordBatch;
use deltalake::parquet::arrow::ArrowWriter;
use jiff::{Timestamp, civil::date};

use crate::bench::{Bench, counted, rate};
use crate::kafka::Sender;
use crate::report::Report;
use xact_lake::{AttachmentRow, TableRow, writer_properties};
use xact_testkit::events::completed;
use xact_testkit::{Result, context, ids};

const RESULTS: &str = "xact.downloads.results";
/// Default of `RESULT_BATCH_SIZE`.
const BATCH: u64 = 2000;

pub(crate) fn measure(bench: &mut Bench, results: u64, report: &mut Report) -> Result<()> {
    let raw = append(bench, results)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    for number in 0..results {
        let trace_id = format!("bench-{number:08}");
        sender.send(RESULTS, trace_id.as_bytes(), &completed(&trace_id, &url(&trace_id)))?;
    }
    sender.flush()?;
    bench.fleet.start(&["result-processor"])?;
    let labels = [("table", "xact_attachments")];
    let processor = &bench.fleet["result-processor"];
    let product = rate("all rows are written", results, || {
        Ok(counted(processor, "delta_events_written_total", &labels))
    })?;
    report.pair("results into Delta, batches of 2000", "rows/s", product, raw);
    Ok(())
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

/// Measures the bare loop: the same rows in batches of the same size, as parquet files with the same compression, without
/// key lookup and commit.
fn append(bench: &Bench, results: u64) -> Result<f64> {
    let what = "the raw append";
    let rows: Vec<AttachmentRow> = (0..results).map(|number| row(&format!("bench-{number:08}"))).collect();
    let begun = Instant::now();
    for (number, rows) in rows.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX)).enumerate() {
        let rows: Vec<&AttachmentRow> = rows.iter().collect();
        let batch: RecordBatch = AttachmentRow::to_record_batch(&rows).map_err(context(what))?;
        let file = File::create(bench.fleet.dir.join(format!("raw-{number}.parquet"))).map_err(context(what))?;
        let properties = writer_properties::<AttachmentRow>(rows.len());
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(context(what))?;
        writer.write(&batch).map_err(context(what))?;
        writer.close().map_err(context(what))?;
    }
    #[allow(clippy::cast_precision_loss)]
    Ok(results as f64 / begun.elapsed().as_secs_f64())
}
