//! Measures the event ingester: events to tasks.

use std::sync::LazyLock;

use serde_json::json;

use crate::bench::{Bench, rate};
use crate::kafka::{Sender, Topic, consume_and_produce};
use crate::report::Report;
use xact_testkit::Result;
use xact_testkit::events::{RAW, event};

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
    let raw = consume_and_produce(broker, RAW, PARTITIONS, SCRATCH, events)?;
    let pending = Topic::new(broker, PENDING, PARTITIONS)?;
    bench.fleet.start(&["event-ingester"])?;
    let product = rate("all tasks are produced", events, || pending.count())?;
    report.pair("ingest", "events/s", product, raw);
    Ok(())
}
