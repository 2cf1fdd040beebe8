//! Folders, tables and brokers that are in a wrong state: the affected worker reports it and recovers by itself, the others
//! continue.

#![allow(clippy::unwrap_used)]

use std::fs;

use xact_testkit::events::{RAW, good_event};
use xact_testkit::{Pipeline, Result, WorkDir, assert_contains};

/// Waits until one worker alone is not ready, for a reason with these parts.
fn wait_until_one_is_not_ready(pipeline: &Pipeline, worker: &str, parts: [&str; 2]) -> Result<()> {
    pipeline
        .running
        .wait_until(&format!("only {worker} is not ready, because of {parts:?}"), || {
            let reasons = pipeline.running.reasons()?;
            let reason = reasons[worker].as_str()?;
            let is_alone = reasons.as_object()?.len() == 1;
            (is_alone && parts.iter().all(|part| reason.contains(part))).then_some(())
        })
}

#[test]
fn a_cache_folder_that_cannot_be_created_pauses_one_worker() -> Result<()> {
    let dir = WorkDir::new("places")?;
    let blocker = dir.join("blocker");
    fs::write(&blocker, "a file, where a folder must be").unwrap();
    let cache = blocker.join("cache").display().to_string();
    let mut pipeline = Pipeline::spawn("pipeline", &[], &[("CACHE_DIR", &cache)], &dir)?;
    wait_until_one_is_not_ready(&pipeline, "download", ["CACHE_DIR", &cache])?;
    assert_eq!(pipeline.running.get("/health/live")?.0, 200, "the process lives");

    pipeline.send("waits", &good_event("waits"))?;
    pipeline.running.wait_until("the other workers do their part", || {
        let metrics = pipeline.running.metrics().ok()?;
        let rows = metrics.sum("delta_events_written_total", &[("table", "xact_events")]);
        let tasks = metrics.sum("kafka_messages_produced_total", &[("topic", "xact.downloads.pending")]);
        (rows == 1.0 && tasks == 1.0).then_some(())
    })?;
    pipeline.running.wait_until("the worker was restarted in vain", || {
        let restarts = pipeline
            .running
            .sum("xact_worker_restarts_total", &[("worker", "download")]);
        (restarts.ok()? >= 2.0).then_some(())
    })?;

    fs::remove_file(&blocker).unwrap();
    pipeline.running.wait_ready()?;
    pipeline.wait_no_lag()?;
    let tables = pipeline.tables()?;
    assert_eq!(
        [tables.events.len(), tables.attachments.len(), tables.failed.len()],
        [1, 1, 0]
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
    wait_until_one_is_not_ready(&pipeline, "dlq", ["AUDIT_LOG_PATH", &path])?;
    pipeline.send("broken", b"no event")?;
    fs::remove_dir(&audit).unwrap();
    pipeline.running.wait_ready()?;
    pipeline.wait_no_lag()?;
    let lines = fs::read_to_string(&audit).unwrap().lines().count();
    assert_eq!(lines, 1, "the dead letter waited for the file");
    Ok(())
}

#[test]
fn tables_ahead_of_a_new_broker_are_refused_with_a_remedy() -> Result<()> {
    let dir = WorkDir::new("places")?;
    let mut first = Pipeline::start(&[], &dir)?;
    for trace_id in ["one", "two", "three"] {
        first.send(trace_id, &good_event(trace_id))?;
    }
    first.wait_no_lag()?;
    first.running.stop()?;

    // The embedded broker begins at offset 0; the tables in the folder remember more.
    let mut second = Pipeline::spawn("second", &[], &[], &dir)?;
    let refused = second.running.wait_until("both writers report a recreated topic", || {
        let reasons = second.running.reasons()?;
        let reason = |worker: &str, topic: &str| {
            let reason = reasons[worker].as_str()?;
            (reason.contains("recreated") && reason.contains(topic)).then_some(reason.to_owned())
        };
        Some([
            reason("event-writer", RAW)?,
            reason("result-processor", "xact.downloads.results")?,
        ])
    })?;
    for reason in &refused {
        assert_contains(reason, &["KAFKA_CONSUMER_GROUP_PREFIX"]);
    }

    // Nothing is skipped silently: new records are not treated as already written.
    second.send("four", &good_event("four"))?;
    let file = second.files().join("documentsReceived/A1/four/A1_a.pdf");
    second
        .running
        .wait_until("the file is uploaded", || file.is_file().then_some(()))?;
    let tables = second.tables()?;
    assert_eq!(
        [tables.events.len(), tables.attachments.len()],
        [3, 3],
        "rows of the first run"
    );
    assert_eq!(second.running.get("/health/ready")?.0, 503);
    second.running.stop()?;

    // The remedy of the reason: a new prefix has no positions, and the keys keep each row single all the same.
    let mut third = Pipeline::spawn("third", &[], &[("KAFKA_CONSUMER_GROUP_PREFIX", "anew")], &dir)?;
    third.running.wait_ready()?;
    for trace_id in ["one", "four"] {
        third.send(trace_id, &good_event(trace_id))?;
    }
    third
        .running
        .wait_until("both tables have their new row, and have skipped the other one", || {
            let metrics = third.running.metrics().ok()?;
            let is_done = |table: &&str| {
                let by_key = [("table", *table), ("reason", "key")];
                metrics.sum("delta_events_written_total", &[("table", table)]) == 1.0
                    && metrics.sum("delta_duplicate_rows_skipped_total", &by_key) == 1.0
            };
            ["xact_events", "xact_attachments"].iter().all(is_done).then_some(())
        })?;
    let tables = third.tables()?;
    assert_eq!((tables.events.len(), tables.attachments.len()), (4, 4));
    Ok(())
}
