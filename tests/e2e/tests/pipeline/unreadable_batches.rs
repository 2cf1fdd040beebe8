//! Batches in every compression are read. An unreadable batch blocks only its own partition, is reported wherever an operator
//! looks, and is skipped by a command, which produces a dead letter.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::producer::send_batch;
use xact_testkit::events::good_event;
use xact_testkit::kafka::Damage;
use xact_testkit::{Answer, Fleet, command, groups};
use xact_testkit::{Kafka, Result, wait_until};

const DONE: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(35);

type Message = (String, Vec<u8>);

fn good(names: impl Iterator<Item = String>) -> Vec<Message> {
    names
        .map(|name| {
            let event = good_event(&name);
            (name, event)
        })
        .collect()
}

fn trace_ids(rows: &[Value]) -> BTreeSet<String> {
    rows.iter()
        .map(|row| row["trace_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn batches_of_every_compression_are_read() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "compressions", &[])?;
    fleet.create_topics()?;
    let mut sent = BTreeSet::new();
    for codec in ["none", "gzip", "none", "snappy", "none", "lz4", "none", "zstd", "none"] {
        let batch = good((0..3).map(|number| format!("{codec}-{}-{number}", sent.len())));
        send_batch(&fleet.broker, &fleet.topic("raw"), 0, codec, &batch)?;
        sent.extend(batch.into_iter().map(|(name, _)| name));
    }
    fleet.start(&["event-ingester", "event-writer"])?;
    wait_until(DONE, "every event has its task", || {
        (fleet.records("pending").ok()?.len() == sent.len()).then_some(())
    })
    .map_err(|error| fleet["event-ingester"].process.error(&error.to_string()))?;
    wait_until(DONE, "every event has its row", || {
        (fleet.tables().ok()?.events.len() == sent.len()).then_some(())
    })
    .map_err(|error| fleet["event-writer"].process.error(&error.to_string()))?;
    assert_eq!(trace_ids(&fleet.tables()?.events), sent);
    Ok(())
}

/// Partitions of the raw topic with a batch of five that nobody can read, what is wrong with it, and the compression that
/// it has for that.
const DAMAGED: [(u32, Damage, &str); 3] = [
    (0, Damage::Codec, "zstd"),
    (1, Damage::Bytes, "gzip"),
    (2, Damage::RecordLength, "none"),
];

/// The first offset of the batch in a partition: another one in each, for an error of the client names no partition.
const fn first(partition: u32) -> u32 {
    2 + partition
}

/// Good events, the batch of five, and two good ones again.
fn fill(kafka: &mut Kafka, topic: &str) -> Result<BTreeSet<String>> {
    let mut readable = BTreeSet::new();
    for partition in 0..6 {
        let bad = DAMAGED.iter().find(|(damaged, _, _)| *damaged == partition);
        let codec = bad.map_or("none", |(_, _, codec)| codec);
        let first = first(partition);
        for (part, (from, to)) in [(0, first), (first, first + 5), (first + 5, first + 7)]
            .into_iter()
            .enumerate()
        {
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
    fn run(&self, args: &[&str]) -> Result<Answer> {
        command(args, self.fleet.environment.clone(), &self.fleet.dir)
    }

    fn skip(&self, partition: u32, offset: i64, more: &[&str]) -> Result<Answer> {
        let (group, topic) = (self.fleet.group("event-writer"), self.fleet.topic("raw"));
        let (partition, offset) = (partition.to_string(), offset.to_string());
        let mut args = vec![
            "offsets",
            "skip",
            "--group",
            &group,
            "--topic",
            &topic,
            "--partition",
            &partition,
        ];
        args.extend(["--offset", &offset, "--reason", "damaged on disk"]);
        args.extend(more);
        self.run(&args)
    }

    fn committed(&self, partition: u32) -> Option<u64> {
        let mut groups = groups::partitions(&self.kafka).ok()?;
        let positions = groups.remove(&self.fleet.group("event-writer"))?;
        positions
            .into_iter()
            .find(|position| position.partition == partition)?
            .committed
    }

    /// Names of the components that are not ready, with the reasons.
    fn reasons(&self) -> Option<Vec<(String, String)>> {
        let reasons = self.fleet["event-writer"].reasons()?;
        let reasons = reasons.as_object()?.iter();
        Some(
            reasons
                .map(|(name, reason)| (name.clone(), reason.to_string()))
                .collect(),
        )
    }

    fn stuck(&self) -> Option<f64> {
        let metrics = self.fleet["event-writer"].metrics().ok()?;
        Some(metrics.sum("kafka_consumer_partition_stuck", &[]))
    }
}

#[test]
fn an_unreadable_batch_is_reported_everywhere_and_skipped_by_command() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let fleet = Fleet::new(kafka.bootstrap(), "unreadable", &[])?;
    fleet.create_topics()?;
    let readable = fill(&mut kafka, &fleet.topic("raw"))?;
    let mut world = Damaged { kafka, fleet };
    world.fleet.spawn("event-writer", "event-writer", &[])?;
    is_told(&world, &readable)?;
    is_checked(&world)?;
    is_skipped(&mut world, &readable)
}

/// Readiness, metric, one warning each; and the other records are all there.
fn is_told(world: &Damaged, readable: &BTreeSet<String>) -> Result<()> {
    let writer = &world.fleet["event-writer"];
    let mut last = String::new();
    wait_until(DONE, "three partitions are told", || {
        let reasons = world.reasons()?;
        last = format!("{reasons:?}");
        (reasons.len() == 3 && world.stuck() == Some(3.0)).then_some(())
    })
    .map_err(|error| writer.process.error(&format!("{error}: {last}")))?;
    assert_eq!(writer.get("/health/ready")?.0, 503);
    let topic = world.fleet.topic("raw");
    for (name, reason) in world.reasons().unwrap() {
        let partition = name.trim_end_matches(']').rsplit('[').next().unwrap();
        assert!(name.contains(&topic), "{name}");
        let command = format!(
            "offsets skip --group {} --topic {topic} --partition {partition} --offset {}",
            world.fleet.group("event-writer"),
            first(partition.parse().unwrap())
        );
        assert!(reason.contains(&command), "{reason}");
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
    let held_up = |name: &&String| {
        let (partition, offset) = name[1..].split_once('-').unwrap();
        let (partition, offset): (u32, u32) = (partition.parse().unwrap(), offset.parse().unwrap());
        partition < 3 && offset > first(partition)
    };
    let others: BTreeSet<String> = readable.iter().filter(|name| !held_up(name)).cloned().collect();
    assert_eq!(trace_ids(&world.fleet.tables()?.events), others, "the other records");
    // The batch was fetched many times by now, and logged once.
    for (partition, _, _) in DAMAGED {
        let warning = format!("/{topic}[{partition}]");
        let log = writer.process.log();
        let warnings = log
            .lines()
            .filter(|line| line.contains("WARN") && line.contains(&warning));
        assert_eq!(warnings.count(), 1, "{log}");
    }
    Ok(())
}

fn is_checked(world: &Damaged) -> Result<()> {
    let answer = world.run(&["check", "--json"])?;
    let text = answer.text.clone();
    let checks: Value = serde_json::from_str(text.get(text.find('[').unwrap()..).unwrap()).unwrap();
    let records = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "next records")
        .unwrap();
    assert_eq!(
        (answer.code, records["verdict"].as_str()),
        (Some(1), Some("failed")),
        "{text}"
    );
    let told = records["text"].as_str().unwrap();
    for (partition, _, _) in DAMAGED {
        let topic = world.fleet.topic("raw");
        let first = first(partition);
        assert!(
            told.contains(&format!("{topic}[{partition}] cannot be read at offset {first}:")),
            "{told}"
        );
        assert!(
            told.contains(&format!("--partition {partition} --offset {first} --reason TEXT")),
            "{told}"
        );
    }
    Ok(())
}

fn is_skipped(world: &mut Damaged, readable: &BTreeSet<String>) -> Result<()> {
    let refused = world.skip(0, 2, &["--execute"])?.ended(2)?;
    assert!(
        refused.contains("has 1 members") && refused.contains("stop every event-writer worker"),
        "{refused}"
    );
    world.fleet.stop(&["event-writer"], STOPPED)?;
    wait_until(DONE, "the group is empty", || {
        world.skip(0, 2, &[]).ok()?.success().ok()
    })?;

    let elsewhere = world.skip(0, 1, &[])?.success()?;
    assert!(elsewhere.contains("nothing to skip"), "{elsewhere}");
    let elsewhere = world.skip(0, 3, &["--execute"])?.ended(2)?;
    assert!(elsewhere.contains("is at offset 2"), "{elsewhere}");
    let dry = world.skip(0, 2, &[])?.success()?;
    for words in ["2 to 6", "unreadable", "goes from 2 to 7", "dry run"] {
        assert!(dry.contains(words), "{words}: {dry}");
    }
    assert_eq!(world.committed(0), Some(2), "a dry run");

    for (partition, _, _) in DAMAGED {
        let (first, next) = (i64::from(first(partition)), first(partition) + 5);
        let done = world.skip(partition, first, &["--execute"])?.success()?;
        assert!(
            done.contains(&format!("1 dead letters written, the position is {next}")),
            "{done}"
        );
        assert_eq!(world.committed(partition), Some(u64::from(next)));
        let again = world.skip(partition, first, &["--execute"])?.success()?;
        assert!(again.contains("nothing to skip"), "{again}");
    }
    // As if the first run had been killed before it moved the position.
    let (group, topic) = (world.fleet.group("event-writer"), world.fleet.topic("raw"));
    let back = [
        "offsets",
        "reset",
        "--group",
        &group,
        "--topic",
        &topic,
        "--partition",
        "0",
        "--to",
        "2",
        "--execute",
    ];
    world.run(&back)?.success()?;
    let done = world.skip(0, 2, &["--execute"])?.success()?;
    assert!(done.contains("0 dead letters written, the position is 7"), "{done}");
    // A record that can be read is skipped as well, with its bytes.
    let one = world.skip(0, 7, &["--count", "1", "--execute"])?.success()?;
    assert!(one.contains("p0-7") && one.contains("the position is 8"), "{one}");

    let letters = world.fleet.messages("dlq")?;
    assert_eq!(letters.len(), 4, "{letters:?}");
    for letter in &letters {
        let error = letter["final_error"].as_str().unwrap();
        assert!(error.starts_with("skipped by an operator: damaged on disk"), "{letter}");
        assert_eq!(
            (&letter["stage"], &letter["error_category"]),
            (&"event-writer".into(), &"permanent".into())
        );
        if letter["source"]["offset"] == 7 {
            assert!(
                letter["original_payload"].as_str().unwrap().contains("p0-7"),
                "{letter}"
            );
        } else {
            let first = letter["source"]["offset"].as_i64().unwrap();
            assert!(
                error.contains(&format!("offsets {first} to {} cannot be read", first + 4)),
                "{error}"
            );
            assert_eq!(letter.get("original_payload"), None);
        }
    }

    world.fleet.start(&["event-writer", "dlq"])?;
    let wanted: BTreeSet<String> = readable.iter().filter(|name| *name != "p0-7").cloned().collect();
    wait_until(DONE, "everything else has its row", || {
        (trace_ids(&world.fleet.tables().ok()?.events) == wanted).then_some(())
    })
    .map_err(|error| world.fleet["event-writer"].process.error(&error.to_string()))?;
    let mut last = String::new();
    wait_until(DONE, "all of it is committed", || {
        let mut groups = groups::partitions(&world.kafka).ok()?;
        let positions = groups.remove(&world.fleet.group("event-writer"))?;
        last = format!("{positions:?}");
        (positions.len() == 6 && positions.iter().all(|position| position.committed == position.end)).then_some(())
    })
    .map_err(|error| world.fleet["event-writer"].process.error(&format!("{error}: {last}")))?;
    assert_eq!(world.stuck(), Some(0.0));
    wait_until(DONE, "the audit log has the letters", || {
        (world.fleet.audit().ok()?.len() == 4).then_some(())
    })?;
    let listed = world.run(&["dlq", "list", "--stage", "event-writer", "--json"])?;
    assert_eq!(listed.json_lines().len(), 4, "{}", listed.text);
    Ok(())
}

#[test]
fn a_batch_that_the_client_would_skip_is_not_skipped() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "passed-over", &[])?;
    fleet.create_topics()?;
    let topic = fleet.topic("raw");
    for part in 0..3 {
        send_batch(
            kafka.bootstrap(),
            &topic,
            0,
            "none",
            &good((0..2).map(|number| format!("{part}-{number}"))),
        )?;
    }
    kafka.stop()?;
    kafka.damage(&topic, 0, 2, Damage::Format)?;
    kafka.restart()?;
    fleet.spawn("event-writer", "event-writer", &[])?;
    wait_until(DONE, "the worker says so", || {
        let reasons = fleet["event-writer"].reasons()?.to_string();
        reasons.contains("the client would skip it").then_some(())
    })
    .map_err(|error| fleet["event-writer"].process.error(&error.to_string()))?;
    let positions = groups::positions(&kafka)?;
    assert!(positions[&fleet.group("event-writer")].0 <= 2, "{positions:?}");
    assert!(fleet.tables()?.events.len() <= 2);
    Ok(())
}
