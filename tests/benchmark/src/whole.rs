//! Measures the whole pipeline: events to rows through all stages, each in its own process, over the OneLake emulator.
//!
//! A local lake syncs each file to the disk, and would measure the disk. CPU time is that of the handlers alone, without the
//! broker, the emulator and the sample server; the start and the first events, which create the tables, are not in it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::bench::{Bench, wait_rows};
use crate::kafka::Sender;
use crate::messages::{event_of, trace_id, url};
use crate::report::Report;
use crate::table_log::{TableLog, media_ids_of_file};
use xact_testkit::events::RAW;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{OneLakeServer, Result, failed, ids, stages};

const OFFERED_FOR: Duration = Duration::from_secs(20);
/// Events before the measurement.
const WARM_UP: u64 = 10;

pub(crate) fn measure(bench: &mut Bench, events: u64, report: &mut Report) -> Result<()> {
    let lake = OneLakeServer::start(&bench.fleet.dir)?;
    bench.fleet.environment.extend(lake.variables_with_identity("whole")?);
    for stage in stages::names() {
        let begun = Instant::now();
        bench.fleet.start(&[stage])?;
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        report.figure(format!("{stage}: start to ready"), "ms", took);
    }
    let processor = &bench.fleet["result-processor"];
    let wait_rows = |count| wait_rows(processor, "xact_attachments", count);

    let sender = Sender::new(bench.kafka.bootstrap())?;
    fill(&sender, 0..WARM_UP)?;
    wait_rows(WARM_UP)?;
    bench.fleet.wait_no_lag()?;
    let before = cpu_of_handlers(bench)?;
    let begun = Instant::now();
    let all = WARM_UP + events;
    fill(&sender, WARM_UP..all)?;
    wait_rows(all)?;
    #[allow(clippy::cast_precision_loss)]
    let capacity = events as f64 / begun.elapsed().as_secs_f64();
    // The event writer may need longer.
    bench.fleet.wait_no_lag()?;
    let after = cpu_of_handlers(bench)?;
    report.figure("whole pipeline, one 9 KB file an event", "events/s", capacity);
    report_cpu(&before, &after, events, report);

    let sent_at = offer(&sender, all, capacity / 2.0)?;
    wait_rows(all + sent_at.len() as u64)?;
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

/// Sends events to the raw topic.
fn fill(sender: &Sender, numbers: Range<u64>) -> Result<()> {
    sender.fill(RAW, numbers.map(trace_id), event_of)
}

/// Returns the CPU time of each handler since its start, in seconds.
fn cpu_of_handlers(bench: &Bench) -> Result<BTreeMap<String, f64>> {
    let handlers = bench.fleet.handlers().iter();
    handlers
        .map(|(name, handler)| Ok((name.clone(), cpu_seconds(handler.process.id())?)))
        .collect()
}

/// Reports CPU time for 1,000 attachments, of each handler and of all.
fn report_cpu(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, attachments: u64, report: &mut Report) {
    let mut all = 0.0;
    for (name, seconds) in after {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let used = (seconds - before.get(name).unwrap_or(&0.0)) * 1000.0 / attachments as f64;
        all += used;
        report.figure(format!("{name}: CPU time, 1,000 attachments"), "s", used);
    }
    report.figure("all handlers: CPU time, 1,000 attachments", "s", all);
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
            let trace_id = trace_id(number);
            sent_at.insert(ids::media_id(&trace_id, &url(&trace_id)), SystemTime::now());
        }
        fill(sender, number..due)?;
        number = due.max(number);
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(sent_at)
}

/// Returns for each event the time from sending it to the commit that adds the file of its row, from which on readers of the
/// table return the row.
fn latencies(table: &Path, sent_at: &HashMap<String, SystemTime>) -> Result<Vec<Duration>> {
    let mut log = TableLog::new(table);
    let mut latencies = Vec::new();
    while let Some(commit) = log.next()? {
        for file in &commit.files {
            for media_id in media_ids_of_file(file)? {
                if let Some(sent) = sent_at.get(&media_id) {
                    latencies.push(commit.at.duration_since(*sent).unwrap_or_default());
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
