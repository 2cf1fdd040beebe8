//! The pipeline as separate processes on a real Kafka, two of each stage: as the handlers' own binaries, and as
//! `xact-pipeline --worker NAME --count 2`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use xact_testkit::command::{client, wait_no_lag};
use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::events::RAW;
use xact_testkit::pipeline::{files_below, json_lines};
use xact_testkit::samples::SampleServer;
use xact_testkit::sent::{End, Sent};
use xact_testkit::stages::{STAGES, TOPICS, assigned, environment};
use xact_testkit::{Kafka, Result, WorkDir, tables, wait_until};
use xact_testkit::{Running, Variables, command, kcat};

/// Six of each kind of fault.
const EVENTS: usize = 300;
const FINISHED: Duration = Duration::from_secs(120);
/// Until a group has given both of its members their share.
const SHARED: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(35);

/// Broker, sample server and the processes of all stages.
struct Cluster {
    // Dropped from top to bottom: what uses the broker goes before it.
    processes: BTreeMap<&'static str, Vec<Running>>,
    environment: Variables,
    samples: SampleServer,
    kafka: Kafka,
    dir: WorkDir,
}

impl Cluster {
    /// Topics by `topics create`; then for each stage the processes that `start` makes, until all are ready.
    fn start(start: impl Fn(&'static str, &Variables, &WorkDir) -> Result<Vec<Running>>) -> Result<Self> {
        let kafka = Kafka::start()?;
        let dir = WorkDir::new("processes")?;
        let created = command(&["topics", "create"], client(kafka.bootstrap()), &dir)?.success()?;
        for (topic, _) in TOPICS {
            assert!(
                created.lines().any(|line| line == format!("created {topic}")),
                "{created}"
            );
        }
        let again = command(&["topics", "create"], client(kafka.bootstrap()), &dir)?.success()?;
        assert!(again.contains("all topics exist"), "{again}");
        assert_topics(&kafka)?;

        let samples = SampleServer::start(&dir)?;
        let environment = environment(kafka.bootstrap(), &samples, &dir);
        let mut processes = BTreeMap::new();
        for (stage, _, _) in STAGES {
            processes.insert(stage, start(stage, &environment, &dir)?);
        }
        for running in processes.values_mut().flatten() {
            running.wait_ready()?;
        }
        Ok(Self {
            processes,
            environment,
            samples,
            kafka,
            dir,
        })
    }

    /// Sends sample events with `demo`, waits until nothing is left to do, and compares everything with the raw topic.
    fn run_a_demo(&self) -> Result<()> {
        let broker = self.kafka.bootstrap();
        let events = EVENTS.to_string();
        let said = command(&["demo", "--events", &events], self.environment.clone(), &self.dir)?.success()?;
        assert!(
            said.contains(&format!("{events} events sent to xact.events.raw")),
            "{said}"
        );
        wait_no_lag(FINISHED, broker, &self.dir)?;

        let mut sent = Sent::of_records(&kcat::consume(broker, RAW)?);
        assert_eq!(sent.len(), EVENTS);
        self.samples.fill_in(&mut sent)?;
        let tables = tables::read(&self.dir.join("tables"))?;
        assert_exactly_what_was_sent(&sent, &tables, &self.dir.join("files"));
        assert_eq!(
            files_below(&self.dir.join("cache")),
            Vec::<PathBuf>::new(),
            "the cache is empty"
        );
        // Both processes of the dlq stage write to one file: every line is whole, and there once.
        let unreadable = sent.iter().filter(|sent| sent.event.is_none()).count();
        let failed = sent
            .iter()
            .flat_map(|sent| &sent.attachments)
            .filter(|attachment| matches!(attachment.end, End::Failed(_)))
            .count();
        assert_eq!(json_lines(&self.dir.join("audit.jsonl"))?.len(), unreadable + failed);
        Ok(())
    }

    /// Stops every process; each one drains and exits with code 0.
    fn stop(&mut self) -> Result<()> {
        for running in self.processes.values_mut().flatten() {
            running.process.terminate()?;
        }
        for running in self.processes.values_mut().flatten() {
            let status = running.process.wait(STOPPED)?;
            assert_eq!(
                status.code(),
                Some(0),
                "{}: {}",
                running.process.name(),
                running.process.tail()
            );
        }
        Ok(())
    }
}

/// By Kafka's own tool: nine topics, and their partitions.
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

#[test]
fn two_processes_of_each_handler_share_the_work() -> Result<()> {
    let mut cluster = Cluster::start(|stage, environment, dir| {
        let start = |number| Running::start(&format!("{stage}-{number}"), stage, &[], environment.clone(), dir);
        Ok(vec![start(1)?, start(2)?])
    })?;
    for (stage, group, partitions) in STAGES {
        let processes = &cluster.processes[stage];
        let mut last = Vec::new();
        let shared = wait_until(SHARED, "both processes read partitions of their group", || {
            last = assigned(processes, group).ok()?;
            (last.iter().sum::<u32>() == partitions && last.iter().all(|&count| count > 0)).then_some(())
        });
        assert!(shared.is_ok(), "{stage}: {last:?} of {partitions} partitions");
    }
    cluster.run_a_demo()?;
    for (stage, group, _) in STAGES {
        // Keys spread over all partitions; only the retry and dead-letter topics have few records.
        for running in cluster.processes[stage]
            .iter()
            .filter(|_| !matches!(stage, "dlq" | "retry-scheduler"))
        {
            let consumed = running
                .metrics()?
                .sum("kafka_messages_consumed_total", &[("consumer_group", group)]);
            assert!(consumed > 0.0, "{} has done nothing", running.process.name());
        }
    }
    cluster.stop()
}

#[test]
fn a_worker_with_count_two_does_the_work_of_two_processes() -> Result<()> {
    let mut cluster = Cluster::start(|stage, environment, dir| {
        let args = ["--worker", stage, "--count", "2"];
        Ok(vec![Running::start(
            stage,
            "xact-pipeline",
            &args,
            environment.clone(),
            dir,
        )?])
    })?;
    for (stage, _, partitions) in STAGES {
        let running = &cluster.processes[stage][0];
        // Each of the two logs its own partitions.
        let assigned = || -> BTreeMap<String, u32> {
            let log = running.process.log();
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines
                .filter_map(|line| {
                    Some((
                        line["worker"].as_str()?.to_owned(),
                        u32::try_from(line["now"].as_u64()?).ok()?,
                    ))
                })
                .collect()
        };
        let shared = wait_until(SHARED, "both workers read partitions", || {
            let assigned = assigned();
            let is_shared = assigned.len() == 2
                && assigned.values().sum::<u32>() == partitions
                && assigned.values().all(|&count| count > 0);
            is_shared.then_some(())
        });
        assert!(shared.is_ok(), "{stage}: {:?} of {partitions} partitions", assigned());
    }
    cluster.run_a_demo()?;
    cluster.stop()
}
