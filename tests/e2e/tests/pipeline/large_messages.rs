//! Messages that fit into the raw topic, but whose tasks or dead letters exceed the broker's limit: they block no other message,
//! and as much of them as fits is kept.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use xact_testkit::command::wait_no_lag;
use xact_testkit::events::{RAW, event, good_event};
use xact_testkit::{Pipeline, kcat};
use xact_testkit::{Result, WorkDir};

const DLQ: &str = "xact.downloads.dlq";
const DONE: Duration = Duration::from_secs(60);

/// Messages of which no form fits the 1 MB that a broker takes: escaped, quotes double; base64 is a third longer.
fn too_large_to_keep() -> Vec<(&'static str, Vec<u8>)> {
    let binary = (0..900_000_u32).map(|index| u8::try_from(index % 127).unwrap_or(0) | 0x80);
    vec![("quotes", vec![b'"'; 900_000]), ("binary", binary.collect())]
}

#[test]
fn an_unreadable_message_too_large_for_a_dead_letter_is_truncated() -> Result<()> {
    let dir = WorkDir::new("messages")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    let broker = pipeline.broker()?;
    for (name, bytes) in too_large_to_keep() {
        kcat::produce(&broker, RAW, name, &bytes)?;
    }
    wait_no_lag(DONE, &broker, &dir).map_err(|error| pipeline.running.process.error(&error.to_string()))?;
    let raw = kcat::consume(&broker, RAW)?;
    let letters = kcat::consume(&broker, DLQ)?;
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
        assert!(
            source.value == bytes,
            "{name}: the whole message is where the dead letter says"
        );
    }
    Ok(())
}

/// Whether the dead letter names this record as its source.
fn is_source(record: &kcat::Record, letter: &Value) -> bool {
    let source = &letter["source"];
    source["topic"] == RAW && source["partition"] == record.partition && source["offset"] == record.offset
}

#[test]
fn an_event_too_large_for_the_next_topic_is_dead_lettered_and_blocks_no_other() -> Result<()> {
    let dir = WorkDir::new("messages")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    let broker = pipeline.broker()?;
    let long = "x".repeat(600_000);
    let good = "https://claimxperience.com/ok/3000/x/a.pdf";
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
        (
            "long-assignment",
            json!({
                "trace_id": "long-assignment", "event_type": "documentsReceived", "payload": {"assignmentId": long},
                "attachments": [good, "https://evil.example/a.pdf"],
            })
            .to_string()
            .into_bytes(),
        ),
        (
            "long-type",
            json!({
                "trace_id": "long-type", "event_type": long, "payload": {"assignmentId": "A1"},
                "attachments": [good, "https://evil.example/a.pdf"],
            })
            .to_string()
            .into_bytes(),
        ),
    ];
    // The same keys: what is behind a message in its partition must not wait for it.
    for (key, bytes) in &messages {
        kcat::produce(&broker, RAW, key, bytes)?;
        kcat::produce(&broker, RAW, key, &good_event(&format!("behind-{key}")))?;
    }
    wait_no_lag(DONE, &broker, &dir).map_err(|error| pipeline.running.process.error(&error.to_string()))?;
    let tables = pipeline.tables()?;
    for (key, _) in &messages {
        let trace_id = format!("behind-{key}");
        assert!(
            tables.attachments.iter().any(|row| row["trace_id"] == trace_id),
            "{trace_id} has no row"
        );
    }
    // Each of them has a dead letter.
    let raw = kcat::consume(&broker, RAW)?;
    let mut told = Vec::new();
    for record in kcat::consume(&broker, DLQ)? {
        let letter: Value = serde_json::from_slice(&record.value).unwrap();
        told.extend(
            raw.iter()
                .find(|record| is_source(record, &letter))
                .map(|record| record.key.as_str()),
        );
    }
    for (key, _) in &messages {
        assert!(told.contains(key), "{key} has no dead letter: {told:?}");
    }
    Ok(())
}
