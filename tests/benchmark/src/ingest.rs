//! Measures the event ingester: events to tasks.

use std::sync::LazyLock;

use serde_json::json;

use crate::bench::{Bench, rate};
use crate::kafka::{Sender, Topic, consume_and_produce};
use crate::report::Report;
use xact_testkit::Result;
use xact_testkit::events::{RAW, event};
use xact_testkit::usage::cpu_seconds;

const PENDING: &str = "xact.downloads.pending";
const SCRATCH: &str = "scratch";
const PARTITIONS: i32 = 6;

/// Returns a presigned URL as S3 creates it: its length is part of the cost.
pub(crate) fn url(trace_id: &str) -> String {
    format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf?{}", signature())
}

/// Returns the query of a URL that S3 has presigned when the run began, for the longest time that it allows. It stays the same
/// for the whole run, because the ids of attachments follow from their URLs.
pub(crate) fn signature() -> &'static str {
    static SIGNATURE: LazyLock<String> = LazyLock::new(|| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={}&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature={:064x}",
            jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
            0
        )
    });
    &SIGNATURE
}

/// Sends events with one attachment each to the raw topic.
pub(crate) fn fill(sender: &Sender, from: u64, to: u64) -> Result<()> {
    for number in from..to {
        let trace_id = format!("bench-{number:08}");
        sender.send(RAW, trace_id.as_bytes(), &event(&trace_id, &json!([url(&trace_id)])))?;
    }
    sender.flush()
}

pub(crate) fn measure(bench: &mut Bench, events: u64, report: &mut Report) -> Result<()> {
    let broker = bench.kafka.bootstrap();
    bench.kafka.create_topic(SCRATCH, 6)?;
    fill(&Sender::new(broker)?, 0, events)?;
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
