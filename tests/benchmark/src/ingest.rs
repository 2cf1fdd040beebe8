//! Measures the event ingester: events to tasks, next to two bare loops ([`raw`]).

mod raw;

use crate::bench::{Bench, rate};
use crate::kafka::{PARTITIONS, Sender, Topic};
use crate::messages::{event_of, trace_id};
use crate::report::Report;
use xact_testkit::Result;
use xact_testkit::events::RAW;
use xact_testkit::usage::cpu_seconds;

const PENDING: &str = "xact.downloads.pending";

pub(crate) fn measure(bench: &mut Bench, events: u64, report: &mut Report) -> Result<()> {
    let broker = bench.kafka.bootstrap();
    Sender::new(broker)?.fill(RAW, (0..events).map(trace_id), event_of)?;
    let bytes = raw::bytes(&bench.kafka, events)?;
    let tasks = raw::tasks(&bench.kafka, events)?;
    let pending = Topic::new(broker, PENDING, PARTITIONS)?;
    bench.fleet.start(&["event-ingester"])?;
    let rate = rate("all tasks are produced", events, || pending.count())?;
    let ingester = &bench.fleet["event-ingester"].process;
    // Other load on the machine changes the rates more than this. It includes the start of the process.
    let cpu = per_100_000(cpu_seconds(ingester.id())?, events);
    report.pair("ingest", "events/s", rate, bytes.rate);
    report.pair("ingest, beside all that an event takes", "events/s", rate, tasks.rate);
    let what = "ingest, CPU seconds of 100,000 events";
    report.pair(what, "s", cpu, per_100_000(bytes.cpu, events));
    report.pair(
        format!("{what}, beside all that an event takes"),
        "s",
        cpu,
        per_100_000(tasks.cpu, events),
    );
    if let Some(kib) = ingester.most_resident_kib() {
        #[allow(clippy::cast_precision_loss)]
        report.figure("ingest, most resident memory", "MiB", kib as f64 / 1024.0);
    }
    Ok(())
}

/// Returns the CPU seconds of 100,000 events.
#[expect(clippy::cast_precision_loss, reason = "a few million")]
fn per_100_000(seconds: f64, events: u64) -> f64 {
    seconds * 100_000.0 / events as f64
}
