//! Eleven ways to lose a message, and one to write a row twice: faults that earlier pipelines for these events had. Each has one
//! test, on a real broker.
//!
//! The tests share the broker; those that stop, block or starve nothing share one pipeline as well.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};

use xact_testkit::events::{completed, event, task};
use xact_testkit::groups::positions;
use xact_testkit::{Fleet, Kafka, Result, ids};

const HOST: &str = "https://claimxperience.com";

/// Returns a pipeline of all stages that no test disturbs. It ends with this process.
fn undisturbed() -> &'static Fleet {
    static SHARED: OnceLock<Fleet> = OnceLock::new();
    SHARED.get_or_init(|| {
        let broker = Kafka::shared().unwrap().bootstrap();
        Fleet::whole(broker, "undisturbed", &[]).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Returns the rows of a trace in `xact_attachments` and `xact_attachments_failed`, once there are `count` in total.
fn rows(fleet: &Fleet, trace_id: &str, count: usize) -> Result<(Vec<Value>, Vec<Value>)> {
    let is_final = |result: &Value| result["trace_id"] == trace_id && result["status"] != "failed";
    fleet.wait_until(&format!("{trace_id} has its {count} results"), || {
        let results = fleet.messages("results").ok()?;
        (results.into_iter().filter(is_final).count() >= count).then_some(())
    })?;
    fleet.wait_until(&format!("{trace_id} has its {count} rows"), || {
        let tables = fleet.tables().ok()?;
        let of = |mut rows: Vec<Value>| {
            rows.retain(|row| row["trace_id"] == trace_id);
            rows
        };
        let (done, failed) = (of(tables.attachments), of(tables.failed));
        (done.len() + failed.len() == count).then_some((done, failed))
    })
}

/// Returns the dead letters of a key, once there is one.
fn dead_letters(fleet: &Fleet, key: &str) -> Result<Vec<Value>> {
    fleet.wait_until(&format!("{key} has a dead letter"), || {
        let records = fleet.records("dlq").ok()?;
        let of_key = records.iter().filter(|record| record.key == key);
        let letters: Vec<Value> = of_key
            .map(|record| serde_json::from_slice(&record.value).unwrap())
            .collect();
        (!letters.is_empty()).then_some(letters)
    })
}

/// Returns the committed offsets of a group, summed over its partitions.
fn committed(fleet: &Fleet, group: &str) -> Result<u64> {
    let positions = positions(Kafka::shared()?)?;
    Ok(positions.get(&fleet.group(group)).map_or(0, |position| position.0))
}

fn wait_committed(fleet: &Fleet, group: &str, offset: u64) -> Result<()> {
    fleet.wait_until(&format!("{group} has committed {offset}"), || {
        (committed(fleet, group).ok()? >= offset).then_some(())
    })
}

#[test]
fn a_stopped_stage_has_committed_only_what_is_done() -> Result<()> {
    let mut fleet = Fleet::shared("stopped", &[])?;
    // One partition: ten that are done at once, twenty that take three seconds, and the rest behind them.
    let records = (0..200).map(|index| {
        let kind = if (10..30).contains(&index) { "slow" } else { "ok" };
        let url = format!("{HOST}/{kind}/2000/{index}/{index}.pdf");
        ("t", task("t", &url, &json!({})))
    });
    fleet.send_all("pending", records)?;
    // Two at a time: half a minute until the last of the slow ones.
    fleet.spawn("download", "download", &[("DOWNLOAD_CONCURRENCY", "2")])?;
    fleet.wait_until("ten are done", || {
        (fleet.records("cached").ok()?.len() >= 10).then_some(())
    })?;
    fleet["download"].stop()?;

    let done = fleet.records("cached")?.len();
    let position = committed(&fleet, "download-worker")?;
    assert!((10..200).contains(&done), "{done} of 200 were done when it stopped");
    // Up to the first that is not done. They run side by side, so others behind it may be.
    assert!(position <= done as u64, "{position} are committed, {done} were done");

    fleet.start(&["download"])?;
    fleet.wait_until("all are done", || {
        let cached = fleet.messages("cached").ok()?;
        let files: BTreeSet<&str> = cached.iter().filter_map(|cached| cached["media_id"].as_str()).collect();
        (files.len() == 200).then_some(())
    })
}

#[test]
fn a_failed_message_is_retried_and_an_unreadable_one_is_dead_lettered() -> Result<()> {
    let fleet = undisturbed();
    let url = format!("{HOST}/unavailable-once/3000/x/a.pdf");
    fleet.send("raw", "retried", &event("retried", &json!([url])))?;
    fleet.send("pending", "unreadable-task", b"{ no task")?;
    let (done, failed) = rows(fleet, "retried", 1)?;
    assert_eq!((done.len(), failed.len()), (1, 0));
    assert_eq!(done[0]["retry_count"], 1);
    let letters = dead_letters(fleet, "unreadable-task")?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["original_payload"], "{ no task");
    Ok(())
}

#[test]
fn truncated_bodies_failed_moves_and_failed_produces_are_not_committed() -> Result<()> {
    let kafka = Kafka::shared()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "truncated", &[])?;
    // The topic of cached files is missing at first.
    let late = fleet.topic("late");
    fleet.spawn("download", "download", &[("KAFKA_DOWNLOADS_CACHED_TOPIC", &late)])?;
    let [truncated, moved, good] = ["truncated-once", "ok", "octet"].map(|kind| format!("{HOST}/{kind}/3000/x/a.pdf"));
    // The path of the finished file is a folder that is not empty.
    let media_id = ids::media_id("t", &moved);
    let shard = fleet.dir.join("cache").join(&media_id[..1]);
    let in_the_way = shard.join(format!("{media_id}.cached"));
    fs::create_dir_all(in_the_way.join("not-empty")).unwrap();
    fleet["download"].wait_ready()?;
    for url in [&truncated, &moved, &good] {
        fleet.send("pending", "t", &task("t", url, &json!({})))?;
    }

    // librdkafka waits 30 s for a topic that is not yet in the metadata.
    fleet["download"].wait_until("the move and the produce have failed, and both are reported", || {
        let errors = fleet["download"].sum("kafka_producer_errors_total", &[("topic", &late)]);
        let reasons = fleet["download"].reasons()?.to_string();
        (errors.ok()? >= 1.0 && reasons.contains(&late) && reasons.contains("cache volume")).then_some(())
    })?;
    // The truncated one has its next attempt before it; what comes behind it is not done.
    assert_eq!(committed(&fleet, "download-worker")?, 1);
    let retries = fleet.messages("pending.retry.1s")?;
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0]["attachment_url"], truncated);

    fs::remove_dir_all(&in_the_way).unwrap();
    kafka.create_topic(&late, 6)?;
    let cached: BTreeSet<String> = fleet.wait_until("both files are announced", || {
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
fn a_failure_to_send_to_a_retry_topic_keeps_the_message() -> Result<()> {
    let kafka = Kafka::shared()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "no-retry-topic", &[])?;
    // The topic of this delay is missing.
    let late = fleet.topic("pending.retry.7s");
    fleet.spawn("download", "download", &[("RETRY_DELAYS", "7")])?;
    fleet["download"].wait_ready()?;
    let url = format!("{HOST}/unavailable/3000/x/a.pdf");
    fleet.send("pending", "t", &task("t", &url, &json!({})))?;
    fleet["download"].wait_until("the retry is refused, counted, and reported", || {
        let errors = fleet["download"].sum("kafka_producer_errors_total", &[("topic", &late)]);
        (errors.ok()? >= 1.0 && fleet["download"].reasons()?.to_string().contains(&late)).then_some(())
    })?;
    assert_eq!(committed(&fleet, "download-worker")?, 0);

    kafka.create_topic(&late, 3)?;
    fleet.wait_records("pending.retry.7s", 1)?;
    assert_eq!(fleet.messages("pending.retry.7s")?[0]["retry_count"], 1);
    wait_committed(&fleet, "download-worker", 1)?;
    fleet["download"].wait_ready()
}

#[test]
fn the_retry_scheduler_keeps_a_message_until_it_is_due() -> Result<()> {
    let fleet = undisturbed();
    let url = format!("{HOST}/ok/3000/x/a.pdf");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let due = u64::try_from(now.as_millis()).unwrap() + 4000;
    let task = task("not-due", &url, &json!({"retry_at": due}));
    fleet.send("pending.retry.4s", "not-due", &task)?;
    rows(fleet, "not-due", 1)?;
    let mut given_back = fleet.records("pending")?;
    given_back.retain(|record| record.key == "not-due");
    assert_eq!(given_back.len(), 1);
    let at = given_back[0].timestamp;
    assert!(at >= i64::try_from(due).unwrap(), "given back at {at}, due at {due}");
    Ok(())
}

#[test]
fn the_offset_commit_of_a_batch_does_not_cover_another_one_in_memory() -> Result<()> {
    let mut fleet = Fleet::shared("two-batches", &[])?;
    let result = |index| ("t", completed("t", &format!("{HOST}/{index}.pdf")));
    let results: Vec<(&str, Vec<u8>)> = (0..15).map(result).collect();
    let bytes: usize = results.iter().map(|(_, value)| value.len()).sum();
    fleet.send_all("results", results)?;
    // Ten make a batch; the other five wait in memory for more.
    let settings = [("RESULT_BATCH_SIZE", "10"), ("RESULT_BATCH_SECONDS", "300")];
    fleet.spawn("result-processor", "result-processor", &settings)?;
    fleet["result-processor"].wait_until("all are read, and ten are rows", || {
        let metrics = fleet["result-processor"].metrics().ok()?;
        let read = metrics.sum("kafka_messages_consumed_bytes_total", &[]);
        let rows = metrics.sum("delta_events_written_total", &[("table", "xact_attachments")]);
        (read == bytes as f64 && rows == 10.0).then_some(())
    })?;
    wait_committed(&fleet, "result-processor", 10)?;
    fleet["result-processor"].process.kill()?;
    assert_eq!(committed(&fleet, "result-processor")?, 10);

    fleet.start(&["result-processor"])?;
    fleet.wait_no_lag()?;
    assert_eq!(fleet.tables()?.attachments.len(), 15);
    Ok(())
}

#[test]
fn a_failed_upload_is_repeated_and_leaves_no_file_in_the_cache() -> Result<()> {
    let mut fleet = Fleet::shared("failed-upload", &[])?;
    // A file is in the place of the lake's folder, and later in that of the folder of one event.
    let refused = fleet.files().join("documentsReceived/A1/refused");
    fs::write(fleet.files(), "in the way").unwrap();
    fleet.start(&["download", "upload", "result-processor", "dlq"])?;
    let url = format!("{HOST}/ok/3000/x/a.pdf");
    fleet.send("pending", "waits", &task("waits", &url, &json!({})))?;
    let files = fleet.files().display().to_string();
    fleet["upload"].wait_until("failed uploads are counted and reported", || {
        let metrics = fleet["upload"].metrics().ok()?;
        let errors = metrics.sum("onelake_operation_errors_total", &[("operation", "upload")]);
        let labels = [("operation", "upload"), ("status", "error")];
        let failed = metrics.sum("onelake_operations_total", &labels);
        let reasons = fleet["upload"].reasons()?.to_string();
        (errors >= 2.0 && failed >= 2.0 && reasons.contains(&files)).then_some(())
    })?;
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
    fleet.wait_no_lag()?;
    assert_eq!(fleet.cached().len(), 0);
    Ok(())
}

#[test]
fn two_attachments_of_the_same_file_name_become_two_files() -> Result<()> {
    let fleet = undisturbed();
    let urls = [3000, 4000].map(|bytes| format!("{HOST}/ok/{bytes}/x/a.pdf"));
    fleet.send("raw", "same-name", &event("same-name", &json!(urls)))?;
    let (done, _) = rows(fleet, "same-name", 2)?;
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
fn a_refused_url_becomes_a_row_a_dead_letter_and_an_audit_line() -> Result<()> {
    let fleet = undisturbed();
    let url = "https://evil.example/a.pdf";
    fleet.send("raw", "refused-url", &event("refused-url", &json!([url])))?;
    let (_, failed) = rows(fleet, "refused-url", 1)?;
    assert_eq!(failed[0]["media_id"], ids::media_id("refused-url", url));
    assert_eq!(failed[0]["error_category"], "permanent");
    let letters = dead_letters(fleet, "refused-url")?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["original_task"]["attachment_url"], url);
    fleet.wait_until("the audit log names it", || {
        let audit = fleet.audit().ok()?;
        audit.iter().any(|line| line["trace_id"] == "refused-url").then_some(())
    })
}

#[test]
fn values_of_unexpected_types_do_not_fail_a_batch() -> Result<()> {
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
        of("types-int", json!(2), json!("a note"), "2024-12-31T12:00:00Z"),
        of("types-string", json!("2.1"), json!(17), "2024-12-31T14:00:00+02:00"),
        of("types-object", json!(null), json!({"a": [1]}), "2024-12-31 12:00:00"),
    ];
    fleet.send_all("raw", events)?;
    let mut rows = fleet.wait_until("all three are rows", || {
        let events = fleet.tables().ok()?.events;
        let ours = |row: &Value| row["trace_id"].as_str().is_some_and(|id| id.starts_with("types"));
        let rows: Vec<Value> = events.into_iter().filter(ours).collect();
        (rows.len() == 3).then_some(rows)
    })?;
    rows.sort_by_key(|row| row["trace_id"].to_string());
    let texts = |column: &str| rows.iter().map(|row| row[column].clone()).collect::<Vec<_>>();
    assert_eq!(texts("version"), [json!("2"), json!(null), json!("2.1")]);
    assert_eq!(texts("note"), [json!("a note"), json!("{\"a\":[1]}"), json!("17")]);
    assert_eq!(texts("event_timestamp"), ["2024-12-31T12:00:00.000000Z"; 3]);
    Ok(())
}

#[test]
fn resolving_one_dead_letter_commits_no_offset() -> Result<()> {
    let mut fleet = Fleet::shared("one-resolved", &[])?;
    fleet.start(&["event-ingester"])?;
    for key in ["first", "second", "third"] {
        fleet.send("raw", key, b"{ no event")?;
    }
    let letters = fleet.wait_records("dlq", 3)?;
    let second = letters.iter().find(|record| record.key == "second").unwrap();
    let place = format!("{}:{}", second.partition, second.offset);
    fleet.run(&["dlq", "resolve", &place, "--yes"])?.success()?;

    let waiting = fleet.run(&["dlq", "list", "--json"])?.json_lines();
    assert_eq!(waiting.len(), 2, "the other two are not resolved");
    assert_eq!(committed(&fleet, "dlq-handler")?, 0);
    // A stage that reads the topic afterwards reads all three.
    fleet.start(&["dlq"])?;
    fleet.wait_audit(3)
}

#[test]
fn the_same_result_three_times_becomes_one_row() -> Result<()> {
    let fleet = undisturbed();
    let result = completed("same-result", "https://claimxperience.com/a.pdf");
    for _ in 0..3 {
        fleet.send("results", "same-result", &result)?;
        // Rows are read in between, so that each result is in its own batch.
        assert_eq!(rows(fleet, "same-result", 1)?.0.len(), 1);
    }
    // The next record of its partition: once it is a row, the third result was processed.
    let next = completed("same-result", "https://claimxperience.com/b.pdf");
    fleet.send("results", "same-result", &next)?;
    assert_eq!(rows(fleet, "same-result", 2)?.0.len(), 2);
    Ok(())
}
