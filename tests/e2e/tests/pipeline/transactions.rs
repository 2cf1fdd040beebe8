//! Producers that use transactions: aborted records are not read as messages, and transaction markers leave no lag, as reported
//! by Kafka's own tool.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use crate::producer::{End, Transactions};
use xact_testkit::events::good_event;
use xact_testkit::stages::STAGES;
use xact_testkit::{Fleet, groups};
use xact_testkit::{Kafka, Result, wait_until};

const DONE: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(35);

/// Topics of the fleet with their partitions, by the names of [`Fleet::topic`].
const TOPICS: [(&str, i32); 6] = [
    ("raw", 6),
    ("pending", 6),
    ("cached", 6),
    ("results", 6),
    ("dlq", 3),
    ("pending.retry.1s", 3),
];

/// Aborts `count` records in each partition of every topic, and then commits nothing.
fn abort_everywhere(fleet: &Fleet, transactions: &Transactions, count: usize) -> Result<()> {
    transactions.begin()?;
    for (topic, partitions) in TOPICS {
        for partition in 0..partitions {
            for number in 0..count {
                transactions.send(
                    &fleet.topic(topic),
                    partition,
                    "aborted",
                    format!("aborted {number}").as_bytes(),
                )?;
            }
        }
    }
    transactions.end(End::Abort)
}

/// Commits good events, one for each name, to the partitions in turn.
fn commit(fleet: &Fleet, transactions: &Transactions, names: impl Iterator<Item = String>) -> Result<()> {
    transactions.begin()?;
    for (name, partition) in names.zip((0..6).cycle()) {
        transactions.send(&fleet.topic("raw"), partition, &name, &good_event(&name))?;
    }
    transactions.end(End::Commit)
}

/// Waits until no group has lag, by Kafka's own tool: all end offsets, markers included, are committed.
fn wait_no_lag(kafka: &Kafka, fleet: &Fleet) -> Result<()> {
    let mut last = String::new();
    wait_until(DONE, "no group has lag", || {
        let positions = groups::positions(kafka).ok()?;
        last = format!("{positions:?}");
        (positions.len() == STAGES.len() && positions.values().all(|(_, lag)| *lag == 0)).then_some(())
    })
    .map_err(|error| fleet["event-writer"].process.error(&format!("{error}: {last}")))
}

#[test]
fn markers_and_aborted_records_leave_no_lag_even_after_a_restart() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::whole(kafka.bootstrap(), "transactions", &[])?;
    let transactions = Transactions::start(kafka.bootstrap(), "producer")?;
    commit(&fleet, &transactions, (0..12).map(|number| format!("first-{number}")))?;
    abort_everywhere(&fleet, &transactions, 50)?;
    wait_no_lag(&kafka, &fleet)?;
    // The product's own output, and its metrics.
    fleet.wait_no_lag(DONE)?;
    wait_until(DONE, "the metric is down to nothing", || {
        let metrics = fleet["event-writer"].metrics().ok()?;
        (metrics.sum("kafka_consumer_lag", &[]) == 0.0).then_some(())
    })?;

    // Nothing is committed while nothing advances.
    let commits = kafka.end_offsets("__consumer_offsets")?;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(kafka.end_offsets("__consumer_offsets")?, commits);

    // Markers that arrived while no consumer ran, and partitions without any record since the start.
    let stages = STAGES.map(|(stage, _, _)| stage);
    fleet.stop(&stages, STOPPED)?;
    abort_everywhere(&fleet, &transactions, 50)?;
    fleet.start(&stages)?;
    wait_no_lag(&kafka, &fleet)?;

    // The tables are behind the committed offsets, and that is not a reason to read anything again.
    fleet.stop(&stages, STOPPED)?;
    fleet.start(&stages)?;
    commit(&fleet, &transactions, (0..12).map(|number| format!("second-{number}")))?;
    wait_no_lag(&kafka, &fleet)?;
    for stage in ["event-writer", "result-processor"] {
        let log = fleet[stage].process.log();
        assert!(!log.contains("restored or replaced"), "{log}");
    }
    let tables = fleet.tables()?;
    assert_eq!((tables.events.len(), tables.attachments.len()), (24, 24));
    Ok(())
}

#[test]
fn the_committed_offset_waits_for_an_in_flight_record_and_then_passes_its_marker() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "in-flight", &[])?;
    fleet.create_topics()?;
    let topic = fleet.topic("pending.retry.1s");
    let transactions = Transactions::start(kafka.bootstrap(), "producer")?;
    transactions.begin()?;
    // Held by the retry scheduler until it is due.
    let due = jiff::Timestamp::now() + Duration::from_secs(8);
    let task = xact_testkit::events::task(
        "held",
        "https://claimxperience.com/ok/9000/held/a.pdf",
        &serde_json::json!({"retry_at": due.to_string()}),
    );
    transactions.send(&topic, 0, "held", &task)?;
    transactions.end(End::Commit)?;
    transactions.begin()?;
    for _ in 0..300 {
        transactions.send(&topic, 0, "aborted", b"aborted")?;
    }
    transactions.end(End::Abort)?;
    fleet.start(&["retry-scheduler"])?;
    let committed = || {
        let partitions = groups::partitions(&kafka)
            .ok()?
            .remove(&fleet.group("retry-scheduler"))?;
        let position = partitions
            .into_iter()
            .find(|position| position.topic == topic && position.partition == 0)?;
        Some((position.committed?, position.end?))
    };
    wait_until(DONE, "the start is committed", committed)?;
    let before = committed();
    if jiff::Timestamp::now() < due {
        assert_eq!(before, Some((0, 303)));
    }
    wait_until(DONE, "the position is at the end", || {
        (committed() == Some((303, 303))).then_some(())
    })
}
