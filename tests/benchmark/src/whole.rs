//! Measures the whole pipeline: events to rows through all stages, each in its own process.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use deltalake::arrow::array::{Array, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bench::{Bench, counted, rate};
use crate::ingest::{fill, url};
use crate::kafka::Sender;
use crate::report::Report;
use xact_testkit::{Result, context, failed, ids, stages, wait_until};

const OFFERED_FOR: Duration = Duration::from_secs(20);

pub(crate) fn measure(bench: &mut Bench, events: u64, report: &mut Report) -> Result<()> {
    for stage in stages::names() {
        let begun = Instant::now();
        bench.fleet.start(&[stage])?;
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        report.figure(format!("{stage}: start to ready"), "ms", took);
    }
    let processor = &bench.fleet["result-processor"];
    let labels = [("table", "xact_attachments")];
    let rows = || counted(processor, "delta_events_written_total", &labels);

    let sender = Sender::new(bench.kafka.bootstrap())?;
    let begun = Instant::now();
    fill(&sender, 0, events)?;
    rate("all events have their rows", events, || Ok(rows()))?;
    #[allow(clippy::cast_precision_loss)]
    let capacity = events as f64 / begun.elapsed().as_secs_f64();
    report.figure("whole pipeline, one 9 KB file an event", "events/s", capacity);

    let sent_at = offer(&sender, events, capacity / 2.0)?;
    #[allow(clippy::cast_possible_truncation)]
    let all = events + sent_at.len() as u64;
    wait_until(Duration::from_secs(120), "all offered events have their rows", || {
        (rows() >= all).then_some(())
    })?;
    let mut latencies = latencies(&bench.fleet.dir.join("tables/xact_attachments"), &sent_at)?;
    latencies.sort_unstable();
    for (name, part) in [("p50", 50), ("p95", 95)] {
        let at = (latencies.len() * part / 100).min(latencies.len().saturating_sub(1));
        let latency = latencies.get(at).map_or(f64::NAN, Duration::as_secs_f64);
        report.figure(format!("event to row at half load, 1 s batches, {name}"), "s", latency);
    }
    for (name, handler) in bench.fleet.handlers() {
        let kib = handler.process.most_resident_kib();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
        let mib = kib.map_or(f64::NAN, |kib| kib as f64 / 1024.0);
        report.figure(format!("{name}: most resident memory"), "MiB", mib);
    }
    Ok(())
}

/// Sends events at a constant rate. Returns the time at which each was sent, by media id.
fn offer(sender: &Sender, from: u64, rate: f64) -> Result<HashMap<String, SystemTime>> {
    let mut sent_at = HashMap::new();
    let begun = Instant::now();
    let mut number = from;
    while begun.elapsed() < OFFERED_FOR {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let due = from + (begun.elapsed().as_secs_f64() * rate) as u64;
        for number in number..due {
            let trace_id = format!("bench-{number:08}");
            sent_at.insert(ids::media_id(&trace_id, &url(&trace_id)), SystemTime::now());
        }
        fill(sender, number, due.max(number))?;
        number = due.max(number);
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(sent_at)
}

/// Returns for each event the time from sending it to the commit that adds the file of its row, from which on readers of the
/// table return the row.
fn latencies(table: &Path, sent_at: &HashMap<String, SystemTime>) -> Result<Vec<Duration>> {
    let what = "reading the table's log";
    let mut latencies = Vec::new();
    for entry in fs::read_dir(table.join("_delta_log")).map_err(context(what))?.flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let committed = entry.metadata().and_then(|metadata| metadata.modified());
        let committed = committed.map_err(context(what))?;
        let log = fs::read_to_string(entry.path()).map_err(context(what))?;
        for line in log.lines() {
            let action: serde_json::Value = serde_json::from_str(line).map_err(context(what))?;
            let Some(path) = action["add"]["path"].as_str() else {
                continue;
            };
            for media_id in media_ids(&table.join(path)).map_err(context(what))? {
                if let Some(sent) = sent_at.get(&media_id) {
                    latencies.push(committed.duration_since(*sent).unwrap_or_default());
                }
            }
        }
    }
    if latencies.len() == sent_at.len() {
        return Ok(latencies);
    }
    let detail = format!("{} of {} rows are there", latencies.len(), sent_at.len());
    Err(failed("the table", detail))
}

fn media_ids(file: &Path) -> std::result::Result<Vec<String>, Box<dyn std::error::Error>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.build()?;
    let mut ids = Vec::new();
    for batch in reader {
        let batch = batch?;
        let column = batch.column_by_name("media_id").ok_or("no column media_id")?;
        let column = cast(column, &DataType::Utf8)?;
        let column = column
            .as_any()
            .downcast_ref::<StringArray>()
            .ok_or("media_id is not text")?;
        ids.extend(column.iter().flatten().map(str::to_owned));
    }
    Ok(ids)
}
