//! Signals: the first one drains and commits, the second one stops immediately. In both cases a restart on the same broker
//! finishes the work; nothing is lost and no row is duplicated.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::events::{RAW, event};
use xact_testkit::groups::positions;
use xact_testkit::sent::Sent;
use xact_testkit::{Kafka, Pipeline, Result, WorkDir, assert_contains, kcat};

/// The default of `SHUTDOWN_GRACE_SECONDS`, and what leaving the groups and exiting may take beyond it.
const EXIT_TIMEOUT: Duration = Duration::from_secs(25 + 7);

#[test]
fn a_demo_stopped_half_way_drains_and_a_restart_finishes_it() -> Result<()> {
    let kafka = Kafka::start()?;
    let dir = WorkDir::new("stopping")?;
    let broker = [("LOCAL_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap())];
    let mut first = Pipeline::spawn("first", &["--demo", "1000"], &broker, &dir)?;
    first.running.wait_until("some files and rows are there", || {
        let metrics = first.running.metrics().ok()?;
        let files = metrics.sum("onelake_operations_total", &[("status", "success")]);
        // Of both writers: a batch that only fills when the signal comes is left for the next run.
        let rows = |table| metrics.sum("delta_events_written_total", &[("table", table)]);
        (files >= 200.0 && rows("xact_attachments") >= 50.0 && rows("xact_events") >= 50.0).then_some(())
    })?;

    let signal = Instant::now();
    let code = first.running.terminate(EXIT_TIMEOUT)?;
    let log = first.running.process.log();
    // Not everything was done, which is reported.
    assert_eq!(code, Some(1), "{log}");
    assert_contains(&log, &["of 1000 events; draining and committing"]);
    assert!(
        !log.contains("did not drain in time"),
        "after {:?}: {log}",
        signal.elapsed()
    );
    assert_stopped_half_way(&kafka, &log)?;

    let manifest = first.manifest()?;
    let records = kcat::consume(kafka.bootstrap(), RAW)?;
    let on_the_topic: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    let in_the_manifest = manifest.iter().map(|event| event["trace_id"].as_str().unwrap());
    assert_eq!(
        in_the_manifest.collect::<BTreeSet<_>>(),
        on_the_topic,
        "events of the manifest"
    );
    drop(first);

    let mut second = Pipeline::spawn("second", &[], &broker, &dir)?;
    second.running.wait_ready()?;
    second.wait_no_lag()?;
    assert_exactly_what_was_sent(&Sent::of_manifest(&manifest), &second.tables()?, &second.files());
    assert_eq!(second.cached().len(), 0, "files in the cache");
    assert_eq!(
        second.running.terminate(EXIT_TIMEOUT)?,
        Some(0),
        "{}",
        second.running.process.tail()
    );
    Ok(())
}

/// Checks that every group has committed what it has done, and that work is left.
fn assert_stopped_half_way(kafka: &Kafka, log: &str) -> Result<()> {
    let positions = positions(kafka)?;
    for group in [
        "event-ingester",
        "event-writer",
        "download-worker",
        "upload-worker",
        "result-processor",
    ] {
        let committed = positions.get(&format!("xact-{group}")).map_or(0, |position| position.0);
        assert!(committed > 0, "{group} has committed nothing: {positions:?}\n{log}");
    }
    let left: u64 = positions.values().map(|position| position.1).sum();
    assert!(left > 0, "nothing was left to do: {positions:?}");
    Ok(())
}

/// Sends events among which some take three seconds to download, and waits until such downloads are under way.
fn send_slow_ones(pipeline: &Pipeline, broker: &str) -> Result<()> {
    let send = |trace_id: &str, kind: &str, count: usize| {
        let url = |index| format!("https://claimxperience.com/{kind}/60000/{trace_id}-{index}/photo-{index}.jpg");
        let urls: Vec<String> = (0..count).map(url).collect();
        kcat::produce(broker, RAW, trace_id, &event(trace_id, &json!(urls)))
    };
    send("good", "ok", 5)?;
    pipeline.running.wait_until("the good ones are stored", || {
        let metrics = pipeline.running.metrics().ok()?;
        (metrics.sum("onelake_operations_total", &[("status", "success")]) >= 5.0).then_some(())
    })?;
    // They take three seconds: nothing else is waited for, so that most of that is left.
    send("slow", "slow", 3)?;
    pipeline.running.wait_until("the slow downloads have begun", || {
        let metrics = pipeline.running.metrics().ok()?;
        (metrics.sum("kafka_downloads_concurrent", &[]) >= 3.0).then_some(())
    })
}

/// Checks that all eight files and rows of [`send_slow_ones`] come in a new process on the same broker, each at the first attempt.
fn assert_a_restart_recovers(broker: &str, dir: &WorkDir) -> Result<()> {
    let mut again = Pipeline::spawn("again", &[], &[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker)], dir)?;
    again.running.wait_ready()?;
    again.wait_no_lag()?;
    let tables = again.tables()?;
    assert_eq!(
        (tables.events.len(), tables.failed.len()),
        (2, 0),
        "{:?}",
        tables.failed
    );
    let mut paths = BTreeSet::new();
    for row in &tables.attachments {
        let path = row["blob_path"].as_str().unwrap();
        let size = again.files().join(path).metadata().unwrap().len();
        assert_eq!([&row["bytes_downloaded"], &row["retry_count"]], [size, 0], "{row}");
        paths.insert(path.to_owned());
    }
    let expected = |(trace_id, count)| {
        (0..count).map(move |index| format!("documentsReceived/A1/{trace_id}/A1_photo-{index}.jpg"))
    };
    assert_eq!(
        paths,
        [("good", 5), ("slow", 3)].into_iter().flat_map(expected).collect()
    );
    assert_eq!(tables.attachments.len(), 8);
    assert_eq!(again.cached().len(), 0, "files in the cache");
    Ok(())
}

#[test]
fn a_second_signal_stops_at_once_and_a_restart_recovers() -> Result<()> {
    let kafka = Kafka::start()?;
    let dir = WorkDir::new("stopping")?;
    let mut pipeline = Pipeline::start(&[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap())], &dir)?;
    send_slow_ones(&pipeline, kafka.bootstrap())?;

    pipeline.running.process.terminate()?;
    pipeline.running.wait_until("it drains", || {
        let log = pipeline.running.process.log();
        log.contains("a second signal stops at once").then_some(())
    })?;
    let signal = Instant::now();
    // 128 + SIGINT, as shells have it; a drain would end with 0.
    let code = pipeline.running.terminate(EXIT_TIMEOUT)?;
    assert_eq!(code, Some(130), "{}", pipeline.running.process.tail());
    assert!(
        signal.elapsed() < Duration::from_secs(2),
        "at once, not after {:?}",
        signal.elapsed()
    );
    drop(pipeline);
    assert_a_restart_recovers(kafka.bootstrap(), &dir)
}

#[test]
fn a_download_that_exceeds_the_grace_period_is_redelivered_after_a_restart() -> Result<()> {
    let kafka = Kafka::start()?;
    let dir = WorkDir::new("stopping")?;
    let environment = [
        ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap()),
        ("SHUTDOWN_GRACE_SECONDS", "1"),
    ];
    let mut pipeline = Pipeline::start(&environment, &dir)?;
    send_slow_ones(&pipeline, kafka.bootstrap())?;
    // One second of grace, five to leave the groups. What was not finished shows in the exit code.
    let code = pipeline.running.terminate(Duration::from_secs(10))?;
    assert_eq!(code, Some(1), "{}", pipeline.running.process.tail());
    drop(pipeline);
    assert_a_restart_recovers(kafka.bootstrap(), &dir)
}
