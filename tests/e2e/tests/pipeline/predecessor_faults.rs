//! The faults of the predecessor system: eleven ways to lose a message, and one to write a row twice. Each has one test, on a
//! real broker.
//!
//! The tests share the broker; those that stop, block or starve nothing share one pipeline as well.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use xact_testkit::events::{completed, event, task};
use xact_testkit::groups::positions;
use xact_testkit::{Fleet, command, ids, kcat};
use xact_testkit::{Kafka, Result, wait_until};

const SOON: Duration = Duration::from_secs(90);
const STOPPED: Duration = Duration::from_secs(35);
const HOST: &str = "https://claimxperience.com";

/// Returns a pipeline of all stages that no test disturbs. It ends with this process.
fn undisturbed() -> &'static Fleet {
    static SHARED: OnceLock<Fleet> = OnceLock::new();
    SHARED.get_or_init(|| {
        let broker = Kafka::shared().unwrap().bootstrap();
        Fleet::whole(broker, "undisturbed", &[]).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Rows of a trace in `xact_attachments` and `xact_attachments_failed`, once there are `count` together.
fn rows(fleet: &Fleet, trace_id: &str, count: usize) -> Result<(Vec<Value>, Vec<Value>)> {
    let is_final = |result: &Value| result["trace_id"] == trace_id && result["status"] != "failed";
    wait_until(SOON, &format!("{trace_id} has its {count} results"), || {
        let results = fleet.messages("results").ok()?;
        (results.into_iter().filter(is_final).count() >= count).then_some(())
    })?;
    wait_until(SOON, &format!("{trace_id} has its {count} rows"), || {
        let tables = fleet.tables().ok()?;
        let of =
            |rows: Vec<Value>| -> Vec<Value> { rows.into_iter().filter(|row| row["trace_id"] == trace_id).collect() };
        let (done, failed) = (of(tables.attachments), of(tables.failed));
        (done.len() + failed.len() == count).then_some((done, failed))
    })
}

/// The dead letters of a key, once there is one.
fn dead_letters(fleet: &Fleet, key: &str) -> Result<Vec<Value>> {
    wait_until(SOON, &format!("{key} has a dead letter"), || {
        let records = fleet.records("dlq").ok()?;
        let of_key = records.iter().filter(|record| record.key == key);
        let letters: Vec<Value> = of_key
            .map(|record| serde_json::from_slice(&record.value).unwrap())
            .collect();
        (!letters.is_empty()).then_some(letters)
    })
}

/// What a group has committed, summed over its partitions.
fn committed(fleet: &Fleet, group: &str) -> Result<u64> {
    let positions = positions(Kafka::shared()?)?;
    Ok(positions.get(&fleet.group(group)).map_or(0, |position| position.0))
}

#[test]
fn fault_01_stopped_after_10_of_200_it_had_committed_200() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "fault-01", &[])?;
    fleet.create_topics()?;
    // One partition: ten that are done at once, twenty that take three seconds, and the rest behind them.
    let records: Vec<(String, Vec<u8>)> = (0..200)
        .map(|index| {
            let kind = if (10..30).contains(&index) { "slow" } else { "ok" };
            let url = format!("{HOST}/{kind}/2000/{index}/{index}.pdf");
            ("t".to_owned(), task("t", &url, &json!({})))
        })
        .collect();
    kcat::produce_all(&fleet.broker, &fleet.topic("pending"), &records)?;
    // Two at a time: half a minute until the last of the slow ones.
    fleet.spawn("download", "download", &[("DOWNLOAD_CONCURRENCY", "2")])?;
    wait_until(SOON, "ten are done", || {
        (fleet.records("cached").ok()?.len() >= 10).then_some(())
    })?;
    assert_eq!(fleet["download"].terminate(STOPPED)?, Some(0));

    let done = fleet.records("cached")?.len();
    let position = committed(&fleet, "download-worker")?;
    assert!((10..200).contains(&done), "{done} of 200 were done when it stopped");
    // Up to the first that is not done. They run side by side, so others behind it may be.
    assert!(position <= done as u64, "{position} are committed, {done} were done");

    fleet.start(&["download"])?;
    wait_until(SOON, "all are done", || {
        let cached = fleet.messages("cached").ok()?;
        let files: BTreeSet<&str> = cached.iter().filter_map(|cached| cached["media_id"].as_str()).collect();
        (files.len() == 200).then_some(())
    })
}

#[test]
fn fault_02_a_message_whose_handler_failed_was_never_read_again_and_an_unreadable_one_vanished() -> Result<()> {
    let fleet = undisturbed();
    let url = format!("{HOST}/unavailable-once/3000/x/a.pdf");
    fleet.send("raw", "fault-02", &event("fault-02", &json!([url])))?;
    fleet.send("pending", "fault-02-unreadable", b"{ no task")?;
    let (done, failed) = rows(fleet, "fault-02", 1)?;
    assert_eq!((done.len(), failed.len()), (1, 0));
    assert_eq!(done[0]["retry_count"], 1);
    let letters = dead_letters(fleet, "fault-02-unreadable")?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["original_payload"], "{ no task");
    Ok(())
}

#[test]
fn fault_03_truncated_bodies_failed_moves_and_failed_produces_were_logged_and_committed() -> Result<()> {
    let kafka = Kafka::shared()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "fault-03", &[])?;
    fleet.create_topics()?;
    // Where cached files are announced is missing at first.
    let late = fleet.topic("late");
    fleet.spawn("download", "download", &[("KAFKA_DOWNLOADS_CACHED_TOPIC", &late)])?;
    let [truncated, moved, good] = ["truncated-once", "ok", "octet"].map(|kind| format!("{HOST}/{kind}/3000/x/a.pdf"));
    // Where the finished file goes is a folder, and not an empty one.
    let media_id = ids::media_id("t", &moved);
    let shard = fleet.dir.join("cache").join(&media_id[..1]);
    let in_the_way = shard.join(format!("{media_id}.cached"));
    fs::create_dir_all(in_the_way.join("not-empty")).unwrap();
    fleet["download"].wait_ready()?;
    for url in [&truncated, &moved, &good] {
        fleet.send("pending", "t", &task("t", url, &json!({})))?;
    }

    // librdkafka waits 30 s for a topic that is not yet in the metadata.
    wait_until(SOON, "the move and the produce have failed, and it says so", || {
        let errors = fleet["download"]
            .metrics()
            .ok()?
            .sum("kafka_producer_errors_total", &[("topic", &late)]);
        let reasons = fleet["download"].reasons()?.to_string();
        (errors >= 1.0 && reasons.contains(&late) && reasons.contains("cache volume")).then_some(())
    })
    .map_err(|error| {
        fleet["download"]
            .process
            .error(&format!("{error}: {:?}", fleet["download"].reasons()))
    })?;
    // The truncated one has its next attempt before it; what comes behind it is not done.
    assert_eq!(committed(&fleet, "download-worker")?, 1);
    let retries = fleet.messages("pending.retry.1s")?;
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0]["attachment_url"], truncated);

    fs::remove_dir_all(&in_the_way).unwrap();
    kafka.create_topic(&late, 6)?;
    let cached: BTreeSet<String> = wait_until(SOON, "both files are announced", || {
        let cached = fleet.messages("late").ok()?;
        (cached.len() == 2).then(|| {
            let urls = cached.iter().filter_map(|cached| cached["attachment_url"].as_str());
            urls.map(str::to_owned).collect()
        })
    })?;
    assert_eq!(cached, BTreeSet::from([moved, good]));
    fleet["download"].wait_ready()?;
    assert_eq!(fleet.records("dlq")?, []);
    Ok(())
}

#[test]
fn fault_04_a_failure_to_send_to_a_retry_topic_was_swallowed() -> Result<()> {
    let kafka = Kafka::shared()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "fault-04", &[])?;
    fleet.create_topics()?;
    // The topic of this delay is missing.
    let late = fleet.topic("pending.retry.7s");
    fleet.spawn("download", "download", &[("RETRY_DELAYS", "7")])?;
    fleet["download"].wait_ready()?;
    let url = format!("{HOST}/unavailable/3000/x/a.pdf");
    fleet.send("pending", "t", &task("t", &url, &json!({})))?;
    wait_until(SOON, "the retry is refused, counted, and told", || {
        let errors = fleet["download"]
            .metrics()
            .ok()?
            .sum("kafka_producer_errors_total", &[("topic", &late)]);
        (errors >= 1.0 && fleet["download"].reasons()?.to_string().contains(&late)).then_some(())
    })
    .map_err(|error| fleet["download"].process.error(&error.to_string()))?;
    assert_eq!(committed(&fleet, "download-worker")?, 0);

    kafka.create_topic(&late, 3)?;
    let retries = wait_until(SOON, "the retry is there", || {
        let retries = fleet.messages("pending.retry.7s").ok()?;
        (!retries.is_empty()).then_some(retries)
    })?;
    assert_eq!((retries.len(), &retries[0]["retry_count"]), (1, &1.into()));
    wait_until(SOON, "and then its offset is committed", || {
        (committed(&fleet, "download-worker").ok()? == 1).then_some(())
    })?;
    fleet["download"].wait_ready()
}

#[test]
fn fault_05_the_retry_scheduler_lost_every_message_that_was_not_yet_due() -> Result<()> {
    let fleet = undisturbed();
    let url = format!("{HOST}/ok/3000/x/a.pdf");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let due = u64::try_from(now.as_millis()).unwrap() + 4000;
    fleet.send(
        "pending.retry.4s",
        "fault-05",
        &task("fault-05", &url, &json!({"retry_at": due})),
    )?;
    rows(fleet, "fault-05", 1)?;
    let pending = fleet.records("pending")?;
    let given_back: Vec<i64> = pending
        .iter()
        .filter(|record| record.key == "fault-05")
        .map(|record| record.timestamp)
        .collect();
    assert_eq!(given_back.len(), 1);
    assert!(
        given_back[0] >= i64::try_from(due).unwrap(),
        "given back {given_back:?}, due {due}"
    );
    Ok(())
}

#[test]
fn fault_06_the_offset_commit_of_one_batch_covered_the_other_still_in_memory() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "fault-06", &[])?;
    fleet.create_topics()?;
    let results: Vec<(String, Vec<u8>)> = (0..15)
        .map(|index| ("t".to_owned(), completed("t", &format!("{HOST}/{index}.pdf"))))
        .collect();
    let bytes: usize = results.iter().map(|(_, value)| value.len()).sum();
    kcat::produce_all(&fleet.broker, &fleet.topic("results"), &results)?;
    // Ten make a batch; the other five wait in memory for more.
    let settings = [("RESULT_BATCH_SIZE", "10"), ("RESULT_BATCH_SECONDS", "300")];
    fleet.spawn("result-processor", "result-processor", &settings)?;
    wait_until(SOON, "all are read, and ten are rows", || {
        let metrics = fleet["result-processor"].metrics().ok()?;
        let read = metrics.sum("kafka_messages_consumed_bytes_total", &[]);
        let rows = metrics.sum("delta_events_written_total", &[("table", "xact_attachments")]);
        (read == bytes as f64 && rows == 10.0).then_some(())
    })
    .map_err(|error| fleet["result-processor"].process.error(&error.to_string()))?;
    wait_until(SOON, "the batch is committed", || {
        (committed(&fleet, "result-processor").ok()? >= 10).then_some(())
    })?;
    fleet["result-processor"].process.kill()?;
    assert_eq!(committed(&fleet, "result-processor")?, 10);

    fleet.start(&["result-processor"])?;
    fleet.wait_no_lag(SOON)?;
    assert_eq!(fleet.tables()?.attachments.len(), 15);
    Ok(())
}

#[test]
fn fault_07_a_failed_upload_was_final_and_left_its_file_in_the_cache() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "fault-07", &[])?;
    fleet.create_topics()?;
    // Where the lake's folder must be is a file, and so is where the folder of one event must be.
    let refused = fleet.files().join("documentsReceived/A1/refused");
    fs::write(fleet.files(), "in the way").unwrap();
    fleet.start(&["download", "upload", "result-processor", "dlq"])?;
    let url = format!("{HOST}/ok/3000/x/a.pdf");
    fleet.send("pending", "waits", &task("waits", &url, &json!({})))?;
    let files = fleet.files().display().to_string();
    wait_until(SOON, "the upload is tried in vain, counted, and told", || {
        let metrics = fleet["upload"].metrics().ok()?;
        let errors = metrics.sum("onelake_operation_errors_total", &[("operation", "upload")]);
        let failed = metrics.sum(
            "onelake_operations_total",
            &[("operation", "upload"), ("status", "error")],
        );
        let reasons = fleet["upload"].reasons()?.to_string();
        (errors >= 2.0 && failed >= 2.0 && reasons.contains(&files)).then_some(())
    })
    .map_err(|error| fleet["upload"].process.error(&error.to_string()))?;
    assert_eq!(fleet.cached().len(), 1, "the file waits: {:?}", fleet.cached());

    fs::remove_file(fleet.files()).unwrap();
    fs::create_dir_all(refused.parent().unwrap()).unwrap();
    fs::write(&refused, "in the way").unwrap();
    fleet["upload"].wait_ready()?;
    fleet.send("pending", "refused", &task("refused", &url, &json!({})))?;
    let (done, _) = rows(&fleet, "waits", 1)?;
    assert_eq!(done[0]["retry_count"], 0, "it waited, it did not fail");
    assert!(fleet.files().join("documentsReceived/A1/waits/A1_a.pdf").is_file());
    // What can never be uploaded ends as a row and a dead letter.
    let (_, failed) = rows(&fleet, "refused", 1)?;
    assert_eq!(failed[0]["error_category"], "permanent");
    assert_eq!(dead_letters(&fleet, "refused")?.len(), 1);
    fleet.wait_no_lag(SOON)?;
    assert_eq!(fleet.cached(), Vec::<std::path::PathBuf>::new());
    Ok(())
}

#[test]
fn fault_08_two_attachments_of_the_same_file_name_overwrote_each_other() -> Result<()> {
    let fleet = undisturbed();
    let urls = [3000, 4000].map(|bytes| format!("{HOST}/ok/{bytes}/x/a.pdf"));
    fleet.send("raw", "fault-08", &event("fault-08", &json!(urls)))?;
    let (done, _) = rows(fleet, "fault-08", 2)?;
    let mut sizes = BTreeSet::new();
    for row in &done {
        let path = fleet.files().join(row["blob_path"].as_str().unwrap());
        assert_eq!(row["bytes_downloaded"], fs::metadata(path).unwrap().len(), "{row}");
        sizes.insert(row["bytes_downloaded"].as_u64());
    }
    assert_eq!(sizes.len(), 2, "{done:?}");
    Ok(())
}

#[test]
fn fault_09_a_refused_url_left_a_log_line_and_nothing_else() -> Result<()> {
    let fleet = undisturbed();
    let url = "https://evil.example/a.pdf";
    fleet.send("raw", "fault-09", &event("fault-09", &json!([url])))?;
    let (_, failed) = rows(fleet, "fault-09", 1)?;
    assert_eq!(failed[0]["media_id"], ids::media_id("fault-09", url));
    assert_eq!(failed[0]["error_category"], "permanent");
    let letters = dead_letters(fleet, "fault-09")?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["original_task"]["attachment_url"], url);
    wait_until(SOON, "the audit log names it", || {
        let audit = fleet.audit().ok()?;
        audit.iter().any(|line| line["trace_id"] == "fault-09").then_some(())
    })
}

#[test]
fn fault_10_one_bad_row_failed_a_whole_batch_for_ever() -> Result<()> {
    let fleet = undisturbed();
    let of = |trace_id: &str, version: Value, note: Value, at: &str| {
        let event = json!({
            "traceId": trace_id, "type": "verisk.claims.property.xn.documentsReceived", "version": version,
            "utcDateTime": at, "data": {"assignmentId": "A1", "note": note},
        });
        (trace_id.to_owned(), event.to_string().into_bytes())
    };
    // An int first, then a string; a number for a text; a Z, an offset and no zone at all.
    let events = [
        of("fault-10-int", json!(2), json!("a note"), "2024-12-31T12:00:00Z"),
        of("fault-10-string", json!("2.1"), json!(17), "2024-12-31T14:00:00+02:00"),
        of("fault-10-object", json!(null), json!({"a": [1]}), "2024-12-31 12:00:00"),
    ];
    kcat::produce_all(&fleet.broker, &fleet.topic("raw"), &events)?;
    let mut rows = wait_until(SOON, "all three are rows", || {
        let events = fleet.tables().ok()?.events;
        let ours = |row: &Value| row["trace_id"].as_str().is_some_and(|id| id.starts_with("fault-10"));
        let rows: Vec<Value> = events.into_iter().filter(ours).collect();
        (rows.len() == 3).then_some(rows)
    })?;
    rows.sort_by_key(|row| row["trace_id"].to_string());
    let texts = |column: &str| rows.iter().map(|row| row[column].clone()).collect::<Vec<_>>();
    assert_eq!(texts("version"), [json!("2"), json!(null), json!("2.1")]);
    assert_eq!(texts("note"), [json!("a note"), json!("{\"a\":[1]}"), json!("17")]);
    assert!(
        texts("event_timestamp")
            .iter()
            .all(|at| at == "2024-12-31T12:00:00.000000Z")
    );
    Ok(())
}

#[test]
fn fault_11_dlq_resolve_on_one_message_committed_everything_fetched() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "fault-11", &[])?;
    fleet.create_topics()?;
    fleet.start(&["event-ingester"])?;
    for key in ["first", "second", "third"] {
        fleet.send("raw", key, b"{ no event")?;
    }
    wait_until(SOON, "all three are dead letters", || {
        (fleet.records("dlq").ok()?.len() == 3).then_some(())
    })?;
    let second = fleet
        .records("dlq")?
        .into_iter()
        .find(|record| record.key == "second")
        .unwrap();
    let place = format!("{}:{}", second.partition, second.offset);
    let dlq = |args: &[&str]| -> Result<String> {
        command(&[&["dlq"], args].concat(), fleet.environment.clone(), &fleet.dir)?.success()
    };
    dlq(&["resolve", &place, "--yes"])?;

    let waiting = dlq(&["list", "--json"])?
        .lines()
        .filter(|line| line.starts_with('{'))
        .count();
    assert_eq!(waiting, 2, "the other two still wait to be settled");
    assert_eq!(committed(&fleet, "dlq-handler")?, 0, "nobody's offset has moved");
    // Whoever reads the topic afterwards reads all three.
    fleet.start(&["dlq"])?;
    wait_until(SOON, "the audit log has all three", || {
        (fleet.audit().ok()?.len() == 3).then_some(())
    })
}

#[test]
fn fault_12_the_same_result_three_times_made_three_rows() -> Result<()> {
    let fleet = undisturbed();
    let result = completed("fault-12", "https://claimxperience.com/a.pdf");
    for _ in 0..3 {
        fleet.send("results", "fault-12", &result)?;
        // Looked at in between: each is in a batch of its own.
        assert_eq!(rows(fleet, "fault-12", 1)?.0.len(), 1);
    }
    // One behind it in its partition: once that is a row, the third one was looked at.
    fleet.send(
        "results",
        "fault-12",
        &completed("fault-12", "https://claimxperience.com/b.pdf"),
    )?;
    assert_eq!(rows(fleet, "fault-12", 2)?.0.len(), 2);
    Ok(())
}
