//! Messages that fit into the raw topic, but whose tasks or dead letters exceed the broker's limit: they block no other message,
//! and as much of them as fits is kept.

#![allow(clippy::unwrap_used)]

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use xact_testkit::events::{RAW, event, good_event};
use xact_testkit::{Pipeline, Result, WorkDir, kcat};

const DLQ: &str = "xact.downloads.dlq";

/// Returns messages of which no form fits the 1 MB that a broker takes: escaped, quotes double; base64 is a third longer.
fn too_large_to_keep() -> Vec<(&'static str, Vec<u8>)> {
    let binary = (0..900_000_u32).map(|index| u8::try_from(index % 127).unwrap_or(0) | 0x80);
    vec![("quotes", vec![b'"'; 900_000]), ("binary", binary.collect())]
}

#[test]
fn an_unreadable_message_too_large_for_a_dead_letter_is_truncated() -> Result<()> {
    let dir = WorkDir::new("messages")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    for (name, bytes) in too_large_to_keep() {
        pipeline.send(name, &bytes)?;
    }
    pipeline.wait_no_lag()?;
    let raw = pipeline.records(RAW)?;
    let letters = pipeline.records(DLQ)?;
    assert_eq!(letters.len(), too_large_to_keep().len());
    for (name, bytes) in too_large_to_keep() {
        let letter = letters.iter().find(|letter| letter.key == name).unwrap();
        let letter: Value = serde_json::from_slice(&letter.value).unwrap();
        assert_eq!(letter["original_cut_from"], bytes.len(), "{name} says that it is cut");
        assert_eq!(letter["original_encoding"], "base64", "{name}");
        let kept = STANDARD.decode(letter["original_payload"].as_str().unwrap()).unwrap();
        assert!(
            kept.len() >= 600_000 && bytes.starts_with(&kept),
            "{name}: {} bytes are kept",
            kept.len()
        );
        let source = raw.iter().find(|record| is_source(record, &letter)).unwrap();
        assert!(source.value == bytes, "{name}: the dead letter names the whole message");
    }
    Ok(())
}

/// Returns whether the dead letter names this record as its source.
fn is_source(record: &kcat::Record, letter: &Value) -> bool {
    let source = &letter["source"];
    source["topic"] == RAW && source["partition"] == record.partition && source["offset"] == record.offset
}

#[test]
fn an_event_too_large_for_the_next_topic_is_dead_lettered_and_blocks_no_other() -> Result<()> {
    let dir = WorkDir::new("messages")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    let long = "x".repeat(600_000);
    let good = "https://claimxperience.com/ok/3000/x/a.pdf";
    let with = |trace_id: &str, event_type: &str, assignment: &str| {
        let event = json!({
            "trace_id": trace_id, "event_type": event_type, "payload": {"assignmentId": assignment},
            "attachments": [good, "https://evil.example/a.pdf"],
        });
        event.to_string().into_bytes()
    };
    // Each is taken by the raw topic, but holds a text that a task, a result or a dead letter repeats.
    let messages = [
        (
            "long-url",
            event("long-url", &json!([format!("https://claimxperience.com/{long}.pdf")])),
        ),
        (
            "long-refused-url",
            event("long-refused-url", &json!([format!("https://evil.example/{long}.pdf")])),
        ),
        ("long-trace-id", event(&long, &json!([good]))),
        ("long-assignment", with("long-assignment", "documentsReceived", &long)),
        ("long-type", with("long-type", &long, "A1")),
    ];
    // The same keys: what is behind a message in its partition must not wait for it.
    for (key, bytes) in &messages {
        pipeline.send(key, bytes)?;
        pipeline.send(key, &good_event(&format!("behind-{key}")))?;
    }
    pipeline.wait_no_lag()?;
    let tables = pipeline.tables()?;
    for (key, _) in &messages {
        let trace_id = format!("behind-{key}");
        assert!(
            tables.attachments.iter().any(|row| row["trace_id"] == trace_id),
            "{trace_id} has no row"
        );
    }
    // Each of them has a dead letter.
    let raw = pipeline.records(RAW)?;
    let mut found = Vec::new();
    for record in pipeline.records(DLQ)? {
        let letter: Value = serde_json::from_slice(&record.value).unwrap();
        let source = raw.iter().find(|record| is_source(record, &letter));
        found.extend(source.map(|record| record.key.as_str()));
    }
    for (key, _) in &messages {
        assert!(found.contains(key), "{key} has no dead letter: {found:?}");
    }
    Ok(())
}
