//! Measures the result processor: results to rows.
//!
//! - [`raw`]: the bare loops
//! - [`rows`]: the results and their rows

mod raw;
pub(crate) mod rows;

use std::time::Duration;

use crate::bench::{Bench, counted, rate};
use crate::kafka::Sender;
use crate::report::Report;
use crate::results::raw::{Measured, append, consume_and_append};
use crate::results::rows::{RESULTS, trace_id, url};
use xact_testkit::Result;
use xact_testkit::events::completed;
use xact_testkit::usage::cpu_seconds;

/// Time between two readings of the metrics, which cost CPU time of the handler.
const READING_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) fn measure(bench: &mut Bench, results: u64, report: &mut Report) -> Result<()> {
    let in_memory = append(&bench.fleet.dir.join("raw"), results)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    for number in 0..results {
        let trace_id = trace_id(number);
        sender.send(RESULTS, trace_id.as_bytes(), &completed(&trace_id, &url(&trace_id)))?;
    }
    sender.flush()?;
    let consumed = bench.fleet.dir.join("raw-consumed");
    let whole = consume_and_append(bench.kafka.bootstrap(), &consumed, results)?;
    let product = product(bench, results)?;
    for (raw, of) in [
        (&whole, "a bare consumer that appends"),
        (&in_memory, "appending rows from memory"),
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
