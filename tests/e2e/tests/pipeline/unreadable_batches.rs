//! Batches in every compression are read. An unreadable batch blocks only its own partition, is reported wherever an operator
//! looks, and is skipped by a command, which produces a dead letter.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;

use crate::producer::send_batch;
use xact_testkit::events::good_event;
use xact_testkit::kafka::Damage;
use xact_testkit::{Answer, Fleet, Kafka, Result, assert_contains, groups};

type Message = (String, Vec<u8>);

fn good(names: impl Iterator<Item = String>) -> Vec<Message> {
    names.map(|name| (name.clone(), good_event(&name))).collect()
}

fn trace_ids(rows: &[Value]) -> BTreeSet<String> {
    rows.iter()
        .map(|row| row["trace_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn batches_of_every_compression_are_read() -> Result<()> {
    let mut fleet = Fleet::shared("compressions", &[])?;
    let mut sent = BTreeSet::new();
    for codec in ["none", "gzip", "none", "snappy", "none", "lz4", "none", "zstd", "none"] {
        let batch = good((0..3).map(|number| format!("{codec}-{}-{number}", sent.len())));
        send_batch(&fleet.broker, &fleet.topic("raw"), 0, codec, &batch)?;
        sent.extend(batch.into_iter().map(|(name, _)| name));
    }
    fleet.start(&["event-ingester", "event-writer"])?;
    fleet.wait_records("pending", sent.len())?;
    fleet.wait_until("every event has its row", || {
        (fleet.tables().ok()?.events.len() == sent.len()).then_some(())
    })?;
    assert_eq!(trace_ids(&fleet.tables()?.events), sent);
    Ok(())
}

/// Partitions of the raw topic with an unreadable batch of five, its kind of damage, and the compression that the damage needs.
const DAMAGED: [(u32, Damage, &str); 3] = [
    (0, Damage::Codec, "zstd"),
    (1, Damage::Bytes, "gzip"),
    (2, Damage::RecordLength, "none"),
];

/// Returns the first offset of the batch in a partition. It differs by partition, since errors of the client do not name it.
const fn first(partition: u32) -> u32 {
    2 + partition
}

/// Sends good events, the batch of five, and two good ones again to every partition. Returns the readable events.
fn fill(kafka: &mut Kafka, topic: &str) -> Result<BTreeSet<String>> {
    let mut readable = BTreeSet::new();
    for partition in 0..6 {
        let bad = DAMAGED.iter().find(|(damaged, _, _)| *damaged == partition);
        let codec = bad.map_or("none", |(_, _, codec)| codec);
        let first = first(partition);
        let parts = [(0, first), (first, first + 5), (first + 5, first + 7)];
        for (part, (from, to)) in parts.into_iter().enumerate() {
            let batch = good((from..to).map(|offset| format!("p{partition}-{offset}")));
            send_batch(kafka.bootstrap(), topic, partition as i32, codec, &batch)?;
            if part != 1 || bad.is_none() {
                readable.extend(batch.into_iter().map(|(name, _)| name));
            }
        }
    }
    kafka.stop()?;
    for (partition, damage, _) in DAMAGED {
        kafka.damage(topic, partition, i64::from(first(partition) + 2), damage)?;
    }
    kafka.restart()?;
    Ok(readable)
}

struct Damaged {
    kafka: Kafka,
    fleet: Fleet,
}

impl Damaged {
    fn skip(&self, partition: u32, offset: i64, more: &[&str]) -> Result<Answer> {
        let (group, topic) = (self.fleet.group("event-writer"), self.fleet.topic("raw"));
        let (partition, offset) = (partition.to_string(), offset.to_string());
        let mut args = vec!["offsets", "skip", "--group", &group, "--topic", &topic];
        args.extend([
            "--partition",
            &partition,
            "--offset",
            &offset,
            "--reason",
            "damaged on disk",
        ]);
        args.extend(more);
        self.fleet.run(&args)
    }

    fn committed(&self, partition: u32) -> Option<u64> {
        let mut groups = groups::partitions(&self.kafka).ok()?;
        let positions = groups.remove(&self.fleet.group("event-writer"))?;
        positions.into_iter().find(|it| it.partition == partition)?.committed
    }

    /// Returns the names of the components that are not ready, with the reasons.
    fn reasons(&self) -> Option<Vec<(String, String)>> {
        let reasons = self.fleet["event-writer"].reasons()?;
        let reasons = reasons.as_object()?.iter();
        Some(
            reasons
                .map(|(name, reason)| (name.clone(), reason.to_string()))
                .collect(),
        )
    }

    fn stuck_partitions(&self) -> Option<f64> {
        self.fleet["event-writer"]
            .sum("kafka_consumer_partition_stuck", &[])
            .ok()
    }
}

#[test]
fn an_unreadable_batch_is_reported_everywhere_and_skipped_by_command() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let fleet = Fleet::new(kafka.bootstrap(), "unreadable", &[])?;
    let readable = fill(&mut kafka, &fleet.topic("raw"))?;
    let mut damaged = Damaged { kafka, fleet };
    damaged.fleet.spawn("event-writer", "event-writer", &[])?;
    readiness_metric_and_log_report_it(&damaged, &readable)?;
    check_reports_it(&damaged)?;
    a_command_skips_it(&mut damaged, &readable)
}

/// Three partitions are reported, each with one warning; the other records are all there.
fn readiness_metric_and_log_report_it(damaged: &Damaged, readable: &BTreeSet<String>) -> Result<()> {
    let writer = &damaged.fleet["event-writer"];
    writer.wait_until("three partitions are reported", || {
        (damaged.reasons()?.len() == 3 && damaged.stuck_partitions() == Some(3.0)).then_some(())
    })?;
    assert_eq!(writer.get("/health/ready")?.0, 503);
    let topic = damaged.fleet.topic("raw");
    for (name, reason) in damaged.reasons().unwrap() {
        let partition = name.trim_end_matches(']').rsplit('[').next().unwrap();
        assert_contains(&name, &[&topic]);
        let command = format!(
            "offsets skip --group {} --topic {topic} --partition {partition} --offset {}",
            damaged.fleet.group("event-writer"),
            first(partition.parse().unwrap())
        );
        assert_contains(&reason, &[&command]);
        let cause = match partition {
            "0" => "Not implemented",
            "1" => "Invalid compressed data",
            _ => "the client reports no error",
        };
        assert!(reason.contains(cause), "{partition}: {reason}");
    }
    let errors = writer.metrics()?.values_of("kafka_consumer_errors_total", "error_type");
    for code in ["NotImplemented", "BadCompression"] {
        assert!(errors.contains(&code.to_owned()), "{errors:?}");
    }
    let is_blocked = |name: &&String| {
        let (partition, offset) = name[1..].split_once('-').unwrap();
        let (partition, offset): (u32, u32) = (partition.parse().unwrap(), offset.parse().unwrap());
        partition < 3 && offset > first(partition)
    };
    let others: BTreeSet<String> = readable.iter().filter(|name| !is_blocked(name)).cloned().collect();
    assert_eq!(trace_ids(&damaged.fleet.tables()?.events), others, "the other records");
    // The batch was fetched many times by now, and logged once.
    for (partition, _, _) in DAMAGED {
        let warning = format!("/{topic}[{partition}]");
        let mut lines = writer.warnings_after(0);
        lines.retain(|line| line.contains(&warning));
        assert_eq!(lines.len(), 1, "{lines:#?}");
    }
    Ok(())
}

fn check_reports_it(damaged: &Damaged) -> Result<()> {
    let answer = damaged.fleet.run(&["check", "--json"])?;
    let json = &answer.text[answer.text.find('[').unwrap()..];
    let checks: Vec<Value> = serde_json::from_str(json).unwrap();
    let records = checks.iter().find(|check| check["check"] == "next records").unwrap();
    assert_eq!(
        (answer.code, &records["verdict"]),
        (Some(1), &"failed".into()),
        "{json}"
    );
    let topic = damaged.fleet.topic("raw");
    for (partition, _, _) in DAMAGED {
        let first = first(partition);
        let unreadable = format!("{topic}[{partition}] cannot be read at offset {first}:");
        let command = format!("--partition {partition} --offset {first} --reason TEXT");
        assert_contains(records["text"].as_str().unwrap(), &[&unreadable, &command]);
    }
    Ok(())
}

fn a_command_skips_it(damaged: &mut Damaged, readable: &BTreeSet<String>) -> Result<()> {
    let execute = ["--execute"];
    let refused = ["has 1 members", "stop every event-writer worker"];
    damaged.skip(0, 2, &execute)?.ended_with(2, &refused)?;
    damaged.fleet.stop(&["event-writer"])?;
    let is_empty = || damaged.skip(0, 2, &[]).ok()?.success().ok();
    damaged.fleet.wait_until("the group is empty", is_empty)?;

    damaged.skip(0, 1, &[])?.ended_with(0, &["nothing to skip"])?;
    damaged.skip(0, 3, &["--execute"])?.ended_with(2, &["is at offset 2"])?;
    let dry_run = ["2 to 6", "unreadable", "goes from 2 to 7", "dry run"];
    damaged.skip(0, 2, &[])?.ended_with(0, &dry_run)?;
    assert_eq!(damaged.committed(0), Some(2), "a dry run");

    for (partition, _, _) in DAMAGED {
        let (first, next) = (i64::from(first(partition)), first(partition) + 5);
        let done = format!("1 dead letters written, the position is {next}");
        damaged.skip(partition, first, &execute)?.ended_with(0, &[&done])?;
        assert_eq!(damaged.committed(partition), Some(u64::from(next)));
        damaged
            .skip(partition, first, &execute)?
            .ended_with(0, &["nothing to skip"])?;
    }
    // As if the first run had been killed before it moved the position.
    let (group, topic) = (damaged.fleet.group("event-writer"), damaged.fleet.topic("raw"));
    let mut back = vec!["offsets", "reset", "--group", &group, "--topic", &topic];
    back.extend(["--partition", "0", "--to", "2", "--execute"]);
    damaged.fleet.run(&back)?.success()?;
    let done = "0 dead letters written, the position is 7";
    damaged.skip(0, 2, &execute)?.ended_with(0, &[done])?;
    // A record that can be read is skipped as well, with its bytes.
    let one = damaged.skip(0, 7, &["--count", "1", "--execute"])?;
    one.ended_with(0, &["p0-7", "the position is 8"])?;

    let letters = damaged.fleet.messages("dlq")?;
    assert_eq!(letters.len(), 4, "{letters:?}");
    for letter in &letters {
        let error = letter["final_error"].as_str().unwrap();
        assert!(error.starts_with("skipped by an operator: damaged on disk"), "{letter}");
        assert_eq!(
            [&letter["stage"], &letter["error_category"]],
            ["event-writer", "permanent"]
        );
        if letter["source"]["offset"] == 7 {
            assert_contains(letter["original_payload"].as_str().unwrap(), &["p0-7"]);
        } else {
            let first = letter["source"]["offset"].as_i64().unwrap();
            assert_contains(error, &[&format!("offsets {first} to {} cannot be read", first + 4)]);
            assert_eq!(letter.get("original_payload"), None);
        }
    }

    damaged.fleet.start(&["event-writer", "dlq"])?;
    let wanted: BTreeSet<String> = readable.iter().filter(|name| *name != "p0-7").cloned().collect();
    damaged.fleet["event-writer"].wait_until("everything else has its row", || {
        (trace_ids(&damaged.fleet.tables().ok()?.events) == wanted).then_some(())
    })?;
    damaged.fleet.wait_until("all of it is committed", || {
        let mut groups = groups::partitions(&damaged.kafka).ok()?;
        let positions = groups.remove(&damaged.fleet.group("event-writer"))?;
        (positions.len() == 6 && positions.iter().all(|it| it.committed == it.end)).then_some(())
    })?;
    assert_eq!(damaged.stuck_partitions(), Some(0.0));
    damaged.fleet.wait_audit(4)?;
    let list = ["dlq", "list", "--stage", "event-writer", "--json"];
    let listed = damaged.fleet.run(&list)?;
    assert_eq!(listed.json_lines().len(), 4, "{}", listed.text);
    Ok(())
}

#[test]
fn a_batch_that_the_client_would_skip_is_not_skipped() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "passed-over", &[])?;
    let topic = fleet.topic("raw");
    for part in 0..3 {
        let batch = good((0..2).map(|number| format!("{part}-{number}")));
        send_batch(kafka.bootstrap(), &topic, 0, "none", &batch)?;
    }
    kafka.stop()?;
    kafka.damage(&topic, 0, 2, Damage::Format)?;
    kafka.restart()?;
    fleet.spawn("event-writer", "event-writer", &[])?;
    fleet["event-writer"].wait_until("the worker reports the batch", || {
        let reasons = fleet["event-writer"].reasons()?.to_string();
        reasons.contains("the client would skip it").then_some(())
    })?;
    let positions = groups::positions(&kafka)?;
    assert!(positions[&fleet.group("event-writer")].0 <= 2, "{positions:?}");
    assert!(fleet.tables()?.events.len() <= 2);
    Ok(())
}
