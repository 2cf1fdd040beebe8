//! Folders, tables and brokers that are in a wrong state: the affected worker reports it and recovers by itself, the others
//! continue.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use xact_testkit::command::wait_no_lag;
use xact_testkit::events::{RAW, good_event};
use xact_testkit::{Pipeline, kcat};
use xact_testkit::{Result, WorkDir, wait_until};

const SOON: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(35);

#[test]
fn a_cache_folder_that_cannot_be_created_pauses_one_worker() -> Result<()> {
    let dir = WorkDir::new("places")?;
    let blocker = dir.join("blocker");
    fs::write(&blocker, "a file, where a folder must be").unwrap();
    let cache = blocker.join("cache").display().to_string();
    let mut pipeline = Pipeline::spawn("pipeline", &[], &[("CACHE_DIR", &cache)], &dir)?;
    let broker = pipeline.broker()?;
    wait_until(SOON, "the download worker alone is not ready, and says why", || {
        let reasons = pipeline.running.reasons()?;
        let reason = reasons["download"].as_str()?.to_owned();
        let is_alone = reasons.as_object()?.len() == 1;
        (is_alone && reason.contains("CACHE_DIR") && reason.contains(&cache)).then_some(())
    })
    .map_err(|error| {
        pipeline
            .running
            .process
            .error(&format!("{error}: {:?}", pipeline.running.reasons()))
    })?;
    assert_eq!(pipeline.running.get("/health/live")?.0, 200, "the process lives");

    kcat::produce(&broker, RAW, "waits", &good_event("waits"))?;
    wait_until(SOON, "the other workers do their part", || {
        let metrics = pipeline.running.metrics().ok()?;
        let rows = metrics.sum("delta_events_written_total", &[("table", "xact_events")]);
        let tasks = metrics.sum("kafka_messages_produced_total", &[("topic", "xact.downloads.pending")]);
        (rows == 1.0 && tasks == 1.0).then_some(())
    })
    .map_err(|error| pipeline.running.process.error(&error.to_string()))?;
    wait_until(SOON, "the worker was started again in vain", || {
        let restarts = pipeline
            .running
            .metrics()
            .ok()?
            .sum("xact_worker_restarts_total", &[("worker", "download")]);
        (restarts >= 2.0).then_some(())
    })?;

    fs::remove_file(&blocker).unwrap();
    pipeline.running.wait_ready()?;
    wait_no_lag(SOON, &broker, &dir)?;
    let tables = pipeline.tables()?;
    assert_eq!(
        (tables.events.len(), tables.attachments.len(), tables.failed.len()),
        (1, 1, 0)
    );
    assert_eq!(tables.attachments[0]["retry_count"], 0, "it waited, it did not fail");
    assert!(pipeline.files().join("documentsReceived/A1/waits/A1_a.pdf").is_file());
    Ok(())
}

#[test]
fn an_audit_log_that_cannot_be_written_stops_the_dlq_worker_alone() -> Result<()> {
    let dir = WorkDir::new("places")?;
    let audit = dir.join("audit");
    fs::create_dir(&audit).unwrap();
    let path = audit.display().to_string();
    let mut pipeline = Pipeline::spawn("pipeline", &[], &[("AUDIT_LOG_PATH", &path)], &dir)?;
    let broker = pipeline.broker()?;
    wait_until(SOON, "the dlq worker alone is not ready, and says why", || {
        let reasons = pipeline.running.reasons()?;
        let reason = reasons["dlq"].as_str()?.to_owned();
        let is_alone = reasons.as_object()?.len() == 1;
        (is_alone && reason.contains("AUDIT_LOG_PATH") && reason.contains(&path)).then_some(())
    })
    .map_err(|error| {
        pipeline
            .running
            .process
            .error(&format!("{error}: {:?}", pipeline.running.reasons()))
    })?;
    kcat::produce(&broker, RAW, "broken", b"no event")?;
    fs::remove_dir(&audit).unwrap();
    pipeline.running.wait_ready()?;
    wait_no_lag(SOON, &broker, &dir)?;
    assert_eq!(
        fs::read_to_string(&audit).unwrap().lines().count(),
        1,
        "the dead letter waited for it"
    );
    Ok(())
}

#[test]
fn tables_ahead_of_a_new_broker_are_refused_with_a_remedy() -> Result<()> {
    let dir = WorkDir::new("places")?;
    let mut first = Pipeline::start(&[], &dir)?;
    for trace_id in ["one", "two", "three"] {
        kcat::produce(&first.broker()?, RAW, trace_id, &good_event(trace_id))?;
    }
    wait_no_lag(SOON, &first.broker()?, &dir)?;
    assert_eq!(
        first.running.terminate(STOPPED)?,
        Some(0),
        "{}",
        first.running.process.tail()
    );

    // The embedded broker begins at offset 0; the tables in the folder remember more.
    let mut second = Pipeline::spawn("second", &[], &[], &dir)?;
    let refused = wait_until(
        SOON,
        "both writers say that the topic was made anew, and what to do",
        || {
            let reasons = second.running.reasons()?;
            let says = |worker: &str, topic: &str| {
                let reason = reasons[worker].as_str()?;
                (reason.contains("recreated") && reason.contains(topic)).then_some(reason.to_owned())
            };
            Some((
                says("event-writer", RAW)?,
                says("result-processor", "xact.downloads.results")?,
            ))
        },
    )
    .map_err(|error| {
        second
            .running
            .process
            .error(&format!("{error}: {:?}", second.running.reasons()))
    })?;
    for reason in [&refused.0, &refused.1] {
        assert!(reason.contains("KAFKA_CONSUMER_GROUP_PREFIX"), "it advises: {reason}");
    }

    // Nothing is skipped silently: new records are not treated as already written.
    kcat::produce(&second.broker()?, RAW, "four", &good_event("four"))?;
    wait_until(SOON, "the file is there", || {
        second
            .files()
            .join("documentsReceived/A1/four/A1_a.pdf")
            .is_file()
            .then_some(())
    })?;
    let tables = second.tables()?;
    assert_eq!(
        (tables.events.len(), tables.attachments.len()),
        (3, 3),
        "the writers have written nothing"
    );
    assert_eq!(second.running.get("/health/ready")?.0, 503);
    assert_eq!(
        second.running.terminate(STOPPED)?,
        Some(0),
        "{}",
        second.running.process.tail()
    );

    // The advice, taken: new positions, and the keys keep the rows single all the same.
    let mut third = Pipeline::spawn("third", &[], &[("KAFKA_CONSUMER_GROUP_PREFIX", "anew")], &dir)?;
    third.running.wait_ready()?;
    for trace_id in ["one", "four"] {
        kcat::produce(&third.broker()?, RAW, trace_id, &good_event(trace_id))?;
    }
    wait_until(SOON, "both tables have their new row, and know the other one", || {
        let metrics = third.running.metrics().ok()?;
        let is_done = |table: &&str| {
            let by_key = [("table", *table), ("reason", "key")];
            metrics.sum("delta_events_written_total", &[("table", table)]) == 1.0
                && metrics.sum("delta_duplicate_rows_skipped_total", &by_key) == 1.0
        };
        ["xact_events", "xact_attachments"].iter().all(is_done).then_some(())
    })
    .map_err(|error| third.running.process.error(&error.to_string()))?;
    let tables = third.tables()?;
    assert_eq!((tables.events.len(), tables.attachments.len()), (4, 4));
    Ok(())
}
