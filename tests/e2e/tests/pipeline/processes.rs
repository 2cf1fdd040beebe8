//! The pipeline as separate processes on a real Kafka, two of each stage: as the handlers' own binaries, and as
//! `xact-pipeline --worker NAME --count 2`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::Value;

use xact_testkit::sent::{End, Sent};
use xact_testkit::stages::{STAGES, TOPICS};
use xact_testkit::{Fleet, Kafka, Result, assert_contains};

/// Six of each kind of fault.
const EVENTS: usize = 300;

/// Starts a broker with the topics that `topics create` makes. For each stage `spawn` starts the processes.
fn start(spawn: impl Fn(&mut Fleet, &str) -> Result<()>) -> Result<(Kafka, Fleet)> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::without_topics(kafka.bootstrap(), "xact", &[])?;
    let created = fleet.run(&["topics", "create"])?.success()?;
    for (topic, _) in TOPICS {
        assert_contains(&created, &[&format!("created {topic}\n")]);
    }
    fleet.run(&["topics", "create"])?.ended_with(0, &["all topics exist"])?;
    assert_topics(&kafka)?;
    for (stage, _, _) in STAGES {
        spawn(&mut fleet, stage)?;
    }
    fleet.wait_ready(&names(&fleet))?;
    Ok((kafka, fleet))
}

fn names(fleet: &Fleet) -> Vec<String> {
    fleet.handlers().keys().cloned().collect()
}

/// Sends sample events with `demo`, waits until nothing is left to do, and compares everything with the raw topic.
fn run_a_demo(fleet: &mut Fleet) -> Result<()> {
    let events = EVENTS.to_string();
    let sent = format!("{events} events sent to xact.events.raw");
    fleet.run(&["demo", "--events", &events])?.ended_with(0, &[&sent])?;
    fleet.wait_no_lag()?;

    fleet.sent = Sent::of_records(&fleet.records("raw")?);
    assert_eq!(fleet.sent.len(), EVENTS);
    fleet.assert_exactly_what_was_sent()?;
    assert_eq!(fleet.cached().len(), 0, "files in the cache");
    // Both processes of the dlq stage write to one file: every line is whole, and there once.
    let unreadable = fleet.sent.iter().filter(|sent| sent.event.is_none()).count();
    let attachments = fleet.sent.iter().flat_map(|sent| &sent.attachments);
    let failed = attachments
        .filter(|attachment| matches!(attachment.end, End::Failed(_)))
        .count();
    assert_eq!(fleet.audit()?.len(), unreadable + failed);
    Ok(())
}

/// Checks the nine topics and their partitions with Kafka's own tool.
fn assert_topics(kafka: &Kafka) -> Result<()> {
    let described = kafka.tool("TopicCommand", &["--describe"])?;
    for (topic, partitions) in TOPICS {
        let line = described
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(topic));
        let has = line.is_some_and(|line| line.contains(&format!("PartitionCount: {partitions}\t")));
        assert!(has, "{topic} should have {partitions} partitions: {described}");
    }
    Ok(())
}

/// Whether both members of a group have a share of its partitions.
fn is_shared(assigned: &[u32], partitions: u32) -> bool {
    assigned.len() == 2 && assigned.iter().sum::<u32>() == partitions && !assigned.contains(&0)
}

#[test]
fn two_processes_of_each_handler_share_the_work() -> Result<()> {
    let (_kafka, mut fleet) =
        start(|fleet, stage| (1..=2).try_for_each(|number| fleet.spawn(&format!("{stage}-{number}"), stage, &[])))?;
    for (stage, group, partitions) in STAGES {
        fleet.wait_until(&format!("both processes of {stage} have partitions"), || {
            let mut assigned = Vec::new();
            for name in [format!("{stage}-1"), format!("{stage}-2")] {
                let labels = [("consumer_group", group)];
                assigned.push(fleet[&name].sum("kafka_consumer_assigned_partitions", &labels).ok()? as u32);
            }
            is_shared(&assigned, partitions).then_some(())
        })?;
    }
    run_a_demo(&mut fleet)?;
    // Keys spread over all partitions; only the retry and dead-letter topics have few records.
    let has_many = |name: &&String| !name.starts_with("dlq") && !name.starts_with("retry-scheduler");
    for name in names(&fleet).iter().filter(has_many) {
        let consumed = fleet[name].sum("kafka_messages_consumed_total", &[])?;
        assert!(consumed > 0.0, "{name} has consumed nothing");
    }
    fleet.stop(&names(&fleet))
}

#[test]
fn a_worker_with_count_two_does_the_work_of_two_processes() -> Result<()> {
    let (_kafka, mut fleet) =
        start(|fleet, stage| fleet.spawn_with(stage, "xact-pipeline", &["--worker", stage, "--count", "2"], &[]))?;
    for (stage, _, partitions) in STAGES {
        // Each of the two workers logs its own partitions.
        fleet.wait_until(&format!("both workers of {stage} have partitions"), || {
            let log = fleet[stage].process.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let now = |line: Value| Some((line["worker"].as_str()?.to_owned(), line["now"].as_u64()? as u32));
            let assigned: BTreeMap<String, u32> = lines.filter_map(now).collect();
            is_shared(&assigned.into_values().collect::<Vec<_>>(), partitions).then_some(())
        })?;
    }
    run_a_demo(&mut fleet)?;
    fleet.stop(&names(&fleet))
}
