//! Malformed messages on the raw topic: each becomes one dead letter with its bytes, and the good events around them are
//! processed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use xact_testkit::events::{RAW, event, good_event};
use xact_testkit::pipeline::{Pipeline, files_below};
use xact_testkit::{Result, WorkDir, ids, kcat};

const DLQ: &str = "xact.downloads.dlq";

/// Returns messages that are not events: their names, which are their keys, and their bytes.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let nested = format!(
        r#"{{"trace_id":"n","event_type":"x","payload":{}{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let binary = (0..650_000_u32).map(|index| u8::try_from(index % 127).unwrap_or(0) | 0x80);
    vec![
        ("not-utf8", b"\xff\xfe\x00 no text".to_vec()),
        ("cut-off", br#"{"trace_id":"cut","event_type":"docum"#.to_vec()),
        ("nested", nested.into_bytes()),
        ("long", vec![b'x'; 890_000]),
        // Escaped, these would be larger than a broker takes.
        ("quotes", vec![b'"'; 650_000]),
        ("binary", binary.collect()),
        ("list", br#"[{"trace_id":"t","event_type":"x"}]"#.to_vec()),
        ("number", b"17".to_vec()),
        ("null", b"null".to_vec()),
        ("blank-id", br#"{"trace_id":" \t ","event_type":"x"}"#.to_vec()),
        ("no-id", br#"{"event_type":"x"}"#.to_vec()),
        ("blank-type", br#"{"trace_id":"t","event_type":""}"#.to_vec()),
        ("data-is-a-list", br#"{"traceId":"t","type":"a.b","data":[1]}"#.to_vec()),
    ]
}

/// Returns the bytes that a dead letter keeps.
pub(crate) fn original(letter: &Value) -> Vec<u8> {
    let text = letter["original_payload"].as_str().unwrap_or_default();
    match letter["original_encoding"].as_str() {
        Some("base64") => STANDARD.decode(text).unwrap(),
        _ => text.as_bytes().to_vec(),
    }
}

#[test]
fn every_unreadable_message_is_one_dead_letter_and_blocks_no_other() -> Result<()> {
    let dir = WorkDir::new("messages")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    let mut expected = BTreeMap::new();
    for (index, (name, bytes)) in unreadable().into_iter().enumerate() {
        // A good event before each: they share partitions.
        let good = format!("good-{index}");
        pipeline.send(&good, &good_event(&good))?;
        pipeline.send(name, &bytes)?;
        expected.insert(name.to_owned(), bytes);
    }
    kcat::produce_tombstone(&pipeline.broker()?, RAW, "tombstone")?;
    expected.insert("tombstone".to_owned(), Vec::new());
    pipeline.wait_no_lag()?;

    let raw = pipeline.records(RAW)?;
    let mut letters = BTreeMap::new();
    for record in pipeline.records(DLQ)? {
        let letter: Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(
            [&letter["stage"], &letter["error_category"]],
            ["event-ingester", "permanent"]
        );
        let error = letter["final_error"].as_str().unwrap();
        assert!(error.contains("unreadable event"), "{}: {error}", record.key);
        let source = &letter["source"];
        let at_source =
            |record: &&kcat::Record| source["partition"] == record.partition && source["offset"] == record.offset;
        assert_eq!(source["topic"], RAW);
        let read = raw.iter().find(at_source).unwrap();
        assert_eq!(read.key, record.key, "the dead letter names where the message is");
        let twice = letters.insert(record.key.clone(), original(&letter));
        assert!(twice.is_none(), "{} is dead-lettered twice", record.key);
    }
    for (name, bytes) in &expected {
        let kept = letters
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no dead letter: {:?}", letters.keys()));
        assert!(
            kept == bytes,
            "{name}: {} bytes were sent, {} are kept",
            bytes.len(),
            kept.len()
        );
    }
    assert_eq!(letters.len(), expected.len(), "{:?}", letters.keys());
    assert_eq!(pipeline.audit()?.len(), expected.len());

    let tables = pipeline.tables()?;
    let good = expected.len() - 1;
    assert_eq!([tables.events.len(), tables.attachments.len()], [good, good]);
    assert_eq!(tables.failed.len(), 0, "{:?}", tables.failed);
    // Each of the two groups on the topic has counted them.
    let metrics = pipeline.running.metrics()?;
    for group in ["xact-event-ingester", "xact-event-writer"] {
        let labels = [("topic", RAW), ("consumer_group", group), ("status", "unreadable")];
        let counted = metrics.sum("kafka_messages_consumed_total", &labels);
        assert_eq!(counted, expected.len() as f64, "{group}");
    }
    Ok(())
}

#[test]
fn readable_events_with_unusual_values_become_rows() -> Result<()> {
    let dir = WorkDir::new("messages")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    let url = "https://claimxperience.com/ok/3000/x/a.pdf";
    let no_assignment = json!({"trace_id": "homeless", "event_type": "documentsReceived", "attachments": [url]});
    let large = json!({
        "trace_id": "large", "event_type": "documentsReceived", "timestamp": "2024-12-31T12:00:00Z",
        "payload": {"assignmentId": "A1", "description": "d".repeat(900_000)}, "attachments": [url],
    });
    let messages = [
        ("../../../escape", event("../../../escape", &json!([url]))),
        ("odd-entries", event("odd-entries", &json!([url, 5, null, {"url": url}, "", "not a url"]))),
        ("one-text", event("one-text", &json!(url))),
        ("4711", br#"{"trace_id":4711,"event_type":"documentsReceived","timestamp":1735646400,"payload":{"assignmentId":12}}"#.to_vec()),
        ("homeless", no_assignment.to_string().into_bytes()),
        ("large", large.to_string().into_bytes()),
    ];
    for (key, bytes) in &messages {
        pipeline.send(key, bytes)?;
    }
    pipeline.wait_no_lag()?;

    let tables = pipeline.tables()?;
    let trace_ids = |rows: &[Value]| -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for row in rows {
            *counts.entry(row["trace_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    };
    let keys: Vec<&str> = messages.iter().map(|(key, _)| *key).collect();
    assert_eq!(tables.events.len(), keys.len(), "{:?}", trace_ids(&tables.events));
    let of = |trace_id: &str| tables.events.iter().find(|row| row["trace_id"] == trace_id).unwrap();
    assert_eq!(of("4711")["event_id"], ids::event_id("4711"));
    assert_eq!(
        [&of("4711")["assignment_id"], &of("4711")["event_timestamp"]],
        ["12", "2024-12-31T12:00:00.000000Z"]
    );
    assert_eq!(of("large")["description"].as_str().unwrap().len(), 900_000);

    let done = ["../../../escape", "odd-entries", "one-text", "large"].map(|key| (key.to_owned(), 1));
    assert_eq!(trace_ids(&tables.attachments), BTreeMap::from(done));
    // Each entry that is not a URL, and the attachment without an assignment, is a failed row and a letter.
    let failed = BTreeMap::from([("homeless".to_owned(), 1), ("odd-entries".to_owned(), 5)]);
    assert_eq!(trace_ids(&tables.failed), failed);
    assert_eq!(trace_ids(&pipeline.audit()?), failed);

    // Nothing was written outside the lake's folder.
    let root = fs::canonicalize(pipeline.files()).unwrap();
    let files = files_below(&root);
    assert_eq!(files.len(), 4, "{files:?}");
    for row in &tables.attachments {
        let path = row["blob_path"].as_str().unwrap();
        assert!(!path.split('/').any(|part| part == ".." || part.is_empty()), "{path}");
        assert!(fs::canonicalize(root.join(path)).unwrap().starts_with(&root), "{path}");
        assert_eq!(path.split('/').count(), 4, "{path}");
    }
    Ok(())
}
