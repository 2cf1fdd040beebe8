//! Measures the event ingester: events to tasks.

use crate::bench::{Bench, rate};
use crate::kafka::{Sender, Topic, consume_and_produce};
use crate::messages::{event_of, trace_id};
use crate::report::Report;
use xact_testkit::Result;
use xact_testkit::events::RAW;
use xact_testkit::usage::cpu_seconds;

const PENDING: &str = "xact.downloads.pending";
const SCRATCH: &str = "scratch";
const PARTITIONS: i32 = 6;

pub(crate) fn measure(bench: &mut Bench, events: u64, report: &mut Report) -> Result<()> {
    let broker = bench.kafka.bootstrap();
    bench.kafka.create_topic(SCRATCH, 6)?;
    Sender::new(broker)?.fill(RAW, (0..events).map(trace_id), event_of)?;
    let before_raw = cpu_seconds(std::process::id())?;
    let raw = consume_and_produce(broker, RAW, PARTITIONS, SCRATCH, events)?;
    let raw_seconds = cpu_seconds(std::process::id())? - before_raw;
    let pending = Topic::new(broker, PENDING, PARTITIONS)?;
    bench.fleet.start(&["event-ingester"])?;
    let product = rate("all tasks are produced", events, || pending.count())?;
    let ingester = &bench.fleet["event-ingester"].process;
    let product_seconds = cpu_seconds(ingester.id())?;
    report.pair("ingest", "events/s", product, raw);
    #[allow(clippy::cast_precision_loss)]
    let of_100_000 = |seconds: f64| seconds * 100_000.0 / events as f64;
    // Other load on the machine changes the rates more than these. The product's include its start.
    let (product, raw) = (of_100_000(product_seconds), of_100_000(raw_seconds));
    report.pair("ingest, CPU seconds of 100,000 events", "s", product, raw);
    if let Some(kib) = ingester.most_resident_kib() {
        #[allow(clippy::cast_precision_loss)]
        report.figure("ingest, most resident memory", "MiB", kib as f64 / 1024.0);
    }
    Ok(())
}
