//! Measures the result processor: results to rows, on request next to another program that writes the same topic.
//!
//! - [`raw`]: the bare loops
//! - [`rows`]: the results and their rows
//! - [`peer`]: the other program
//! - [`written`]: what a program has written, and what it needed

pub(crate) mod peer;
mod raw;
pub(crate) mod rows;
mod written;

use crate::bench::{Bench, observe};
use crate::exact::Counts;
use crate::kafka::Sender;
use crate::messages::trace_id;
use crate::report::Report;
use crate::results::peer::Peer;
use crate::results::raw::{append, consume_and_append};
use crate::results::rows::{RESULTS, result_of};
use crate::results::written::{LOG_INTERVAL, Written};
use crate::table_log::TableLog;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Result, failed};

pub(crate) fn measure(bench: &mut Bench, results: u64, peer: Option<&Peer>, report: &mut Report) -> Result<()> {
    let in_memory = append(&bench.fleet.dir.join("raw"), results)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    sender.fill(RESULTS, (0..results).map(trace_id), result_of)?;
    let consumed = bench.fleet.dir.join("raw-consumed");
    let whole = consume_and_append(bench.kafka.bootstrap(), &consumed, results)?;
    let product = product(bench, results)?;
    for (raw, of) in [
        (&whole, "a bare consumer that appends"),
        (&in_memory, "appending rows from memory"),
    ] {
        let what = format!("results into Delta, batches of 2000, next to {of}");
        report.pair(what, "rows/s", product.measured.rows_per_second, raw.rows_per_second);
        let what = format!("the same: CPU time of 100,000 rows, next to {of}");
        report.pair(what, "CPU s", product.measured.cpu_seconds, raw.cpu_seconds);
    }
    if let Some(mib) = product.most_resident_mib {
        report.figure("result-processor: most resident memory", "MiB", mib);
    }
    if let Some(peer) = peer {
        let other = peer.measure(bench.kafka.bootstrap(), &bench.fleet.dir, results)?;
        report_both(&product, &other, &peer.name, report);
    }
    Ok(())
}

/// Measures the handler, from the first rows that it has written to the last.
fn product(bench: &mut Bench, results: u64) -> Result<Written> {
    bench.fleet.start(&["result-processor"])?;
    let processor = &bench.fleet["result-processor"].process;
    let table = bench.fleet.dir.join("tables/xact_attachments");
    let mut log = TableLog::new(&table);
    let observed = observe(
        "all rows are written",
        results,
        LOG_INTERVAL,
        || cpu_seconds(processor.id()),
        || log.count(),
    )?;
    let kib = processor.most_resident_kib();
    // Nothing runs while another program is measured.
    bench.fleet.stop(&["result-processor"])?;
    log.count()?;
    let written = Written::of(&observed, &log, kib, &table, results)?;
    match written.counts {
        Counts {
            lost: 0,
            twice: 0,
            unknown: 0,
        } => Ok(written),
        ref counts => Err(failed(
            "the rows are not exactly those of the results",
            format!("{counts:?}"),
        )),
    }
}

/// Reports the product next to the other program. What the other one has written is reported, not required.
#[expect(clippy::cast_precision_loss, reason = "a few million")]
fn report_both(product: &Written, other: &Written, name: &str, report: &mut Report) {
    let mut pair = |what: &str, unit, of: &dyn Fn(&Written) -> f64| {
        report.pair(format!("{what}, next to {name}"), unit, of(product), of(other));
    };
    pair("results into Delta, batches of 2000", "rows/s", &|it| {
        it.measured.rows_per_second
    });
    pair("the same: CPU time of 100,000 rows", "CPU s", &|it| {
        it.measured.cpu_seconds
    });
    pair("the same: commits with rows", "commits", &|it| it.commits as f64);
    pair("the same: most resident memory", "MiB", &|it| {
        it.most_resident_mib.unwrap_or(f64::NAN)
    });
    pair("the same: rows in the table", "rows", &|it| it.rows as f64);
    pair("the same: results without a row", "rows", &|it| it.counts.lost as f64);
    pair("the same: rows of a result that has one already", "rows", &|it| {
        it.counts.twice as f64
    });
}
