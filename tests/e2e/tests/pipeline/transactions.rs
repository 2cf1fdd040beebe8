//! Producers that use transactions: aborted records are not read as messages, and transaction markers leave no lag, as reported
//! by Kafka's own tool.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::producer::{End, Transactions};
use xact_testkit::events::{good_event, task};
use xact_testkit::stages::{self, STAGES};
use xact_testkit::{Fleet, Kafka, Result, groups};

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
                let value = format!("aborted {number}");
                transactions.send(&fleet.topic(topic), partition, "aborted", value.as_bytes())?;
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
    fleet.wait_until("no group has lag", || {
        let positions = groups::positions(kafka).ok()?;
        (positions.len() == STAGES.len() && positions.values().all(|(_, lag)| *lag == 0)).then_some(())
    })
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
    fleet.wait_no_lag()?;
    fleet["event-writer"].wait_sum("kafka_consumer_lag", 0.0)?;

    // Nothing is committed while nothing advances.
    let commits = kafka.end_offsets("__consumer_offsets")?;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(kafka.end_offsets("__consumer_offsets")?, commits);

    // Markers that arrived while no consumer ran, and partitions without any record since the start.
    let stages = stages::names();
    fleet.stop(&stages)?;
    abort_everywhere(&fleet, &transactions, 50)?;
    fleet.start(&stages)?;
    wait_no_lag(&kafka, &fleet)?;

    // The tables are behind the committed offsets, and that is not a reason to read anything again.
    fleet.stop(&stages)?;
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
    let topic = fleet.topic("pending.retry.1s");
    let transactions = Transactions::start(kafka.bootstrap(), "producer")?;
    transactions.begin()?;
    // Held by the retry scheduler until it is due.
    let due = Timestamp::now() + Duration::from_secs(8);
    let url = "https://claimxperience.com/ok/9000/held/a.pdf";
    let task = task("held", url, &json!({"retry_at": due.to_string()}));
    transactions.send(&topic, 0, "held", &task)?;
    transactions.end(End::Commit)?;
    transactions.begin()?;
    for _ in 0..300 {
        transactions.send(&topic, 0, "aborted", b"aborted")?;
    }
    transactions.end(End::Abort)?;
    fleet.start(&["retry-scheduler"])?;
    let committed = || {
        let mut partitions = groups::partitions(&kafka).ok()?;
        let mut positions = partitions.remove(&fleet.group("retry-scheduler"))?.into_iter();
        let position = positions.find(|it| it.topic == topic && it.partition == 0)?;
        Some((position.committed?, position.end?))
    };
    fleet.wait_until("the start is committed", committed)?;
    let before = committed();
    if Timestamp::now() < due {
        assert_eq!(before, Some((0, 303)));
    }
    fleet.wait_until("the position is at the end", || {
        (committed() == Some((303, 303))).then_some(())
    })
}
