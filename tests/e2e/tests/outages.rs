//! A lake that refuses and a topic that is missing: both are waited for, told and counted; no message fails for them. Who
//! sends by hand is not kept waiting for ever.

#![allow(clippy::unwrap_used)]

use harness::{Kafka, Result, WorkDir, ports, wait_until};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};
use xact_e2e::command::{client, wait_no_lag};
use xact_e2e::events::{RAW, good_event};
use xact_e2e::samples::SampleServer;
use xact_e2e::stages::environment;
use xact_e2e::{Pipeline, Running, command, kcat, variables};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_lake_that_refuses_files_is_waited_for_and_counted() -> Result<()> {
    let dir = WorkDir::new("outages")?;
    let blocker = dir.join("blocker");
    let files = blocker.join("files");
    let base = files.display().to_string();
    let mut pipeline = Pipeline::start(&[("ONELAKE_BASE_PATH", &base)], &dir)?;
    // The lake goes away: where its folder must be is a file now.
    let _ = fs::remove_dir_all(&blocker);
    fs::write(&blocker, "in the way").unwrap();
    let broker = pipeline.broker()?;
    kcat::produce(&broker, RAW, "waits", &good_event("waits"))?;
    wait_until(SOON, "the upload is tried in vain, counted, and told", || {
        let metrics = pipeline.running.metrics().ok()?;
        let errors = metrics.sum("onelake_operation_errors_total", &[("operation", "upload")]);
        let failed = metrics.sum(
            "onelake_operations_total",
            &[("operation", "upload"), ("status", "error")],
        );
        let reasons = pipeline.running.reasons()?.to_string();
        (errors >= 2.0 && failed >= 2.0 && reasons.contains(&base)).then_some(())
    })
    .map_err(|error| {
        pipeline
            .running
            .process
            .error(&format!("{error}: {:?}", pipeline.running.reasons()))
    })?;
    assert_eq!(
        pipeline.cached().len(),
        2,
        "the cached file and its note wait: {:?}",
        pipeline.cached()
    );

    fs::remove_file(&blocker).unwrap();
    pipeline.running.wait_ready()?;
    wait_no_lag(SOON, &broker, &dir)?;
    assert!(files.join("documentsReceived/A1/waits/A1_a.pdf").is_file());
    let tables = pipeline.tables()?;
    assert_eq!((tables.attachments.len(), tables.failed.len()), (1, 0));
    assert_eq!(tables.attachments[0]["retry_count"], 0, "it waited, it did not fail");
    assert_eq!(pipeline.audit()?, Vec::<Value>::new());
    Ok(())
}

#[test]
fn a_topic_that_is_missing_is_waited_for_and_counted() -> Result<()> {
    let kafka = Kafka::start()?;
    let dir = WorkDir::new("outages")?;
    let broker = kafka.bootstrap();
    command(&["topics", "create"], client(broker), &dir)?.success()?;
    let samples = SampleServer::start(&dir)?;
    let late = "late.pending";
    let mut environment = environment(broker, &samples, &dir);
    environment.push(("KAFKA_DOWNLOADS_PENDING_TOPIC".to_owned(), late.to_owned()));
    let mut ingester = Running::start("event-ingester", "event-ingester", &[], environment, &dir)?;
    ingester.wait_ready()?;
    kcat::produce(broker, RAW, "waits", &good_event("waits"))?;
    // librdkafka believes in a topic that it has not seen yet for 30 s.
    wait_until(SOON, "the task is refused, counted, and told", || {
        let errors = ingester
            .metrics()
            .ok()?
            .sum("kafka_producer_errors_total", &[("topic", late)]);
        let reasons = ingester.reasons()?.to_string();
        (errors >= 1.0 && reasons.contains(late)).then_some(())
    })
    .map_err(|error| ingester.process.error(&format!("{error}: {:?}", ingester.reasons())))?;
    let consumed = || -> Result<f64> {
        Ok(ingester
            .metrics()?
            .sum("kafka_messages_consumed_total", &[("topic", RAW)]))
    };
    assert_eq!(consumed()?, 0.0, "the event is not done");

    kafka.create_topic(late, 6)?;
    wait_until(SOON, "the event is done", || (consumed().ok()? == 1.0).then_some(()))
        .map_err(|error| ingester.process.error(&error.to_string()))?;
    let tasks = kcat::consume(broker, late)?;
    assert_eq!(tasks.len(), 1);
    let task: Value = serde_json::from_slice(&tasks[0].value).unwrap();
    assert_eq!((&task["trace_id"], &task["retry_count"]), (&"waits".into(), &0.into()));
    ingester.wait_ready()?;
    Ok(())
}

#[test]
fn produce_without_a_broker_gives_up_and_says_what_to_check() -> Result<()> {
    let dir = WorkDir::new("produce")?;
    let nobody = format!("127.0.0.1:{}", ports::free()?);
    fs::write(
        dir.join("event.json"),
        r#"{"trace_id":"t","event_type":"documentsReceived"}"#,
    )
    .unwrap();
    let environment = variables(&[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", &nobody)]);
    let started = Instant::now();
    let answer = command(&["produce", "event.json"], environment, &dir)?;
    assert_eq!(answer.code, Some(2), "{}", answer.text);
    assert!(
        answer.text.contains("not sent within 30 s") && answer.text.contains(&nobody),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("Check the bootstrap servers"), "{}", answer.text);
    assert!(
        (29..45).contains(&started.elapsed().as_secs()),
        "after {:?}",
        started.elapsed()
    );
    Ok(())
}
