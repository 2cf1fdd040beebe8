//! The event of the operators' guide, sent as the guide describes: with `produce` and with kcat.

#![allow(clippy::unwrap_used)]

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use xact_testkit::pipeline::{Pipeline, files_below};
use xact_testkit::{Result, WorkDir, assert_contains, ids, kcat};

/// The event of the guide, unchanged.
const EVENT: &str = r#"{"trace_id":"test-001","event_type":"documentsReceived","event_subtype":"xact","timestamp":"2024-12-31T12:00:00Z","source_system":"test","payload":{"assignmentId":"A123"},"attachments":["https://example.com/test.pdf"]}"#;
const URL: &str = "https://example.com/test.pdf";

/// Sends the event with `produce`, and once more as `test-002` with kcat; waits until all is done.
fn send_both(pipeline: &Pipeline, dir: &WorkDir) -> Result<()> {
    let broker = pipeline.broker()?;
    // The log describes the two commands that follow.
    let commands = ["produce event.json", &format!("kcat -b {broker}")];
    assert_contains(&pipeline.running.process.log(), &commands);

    fs::write(dir.join("event.json"), EVENT).unwrap();
    let sent = ["1 event sent to xact.events.raw", &broker];
    pipeline.run(&["produce", "event.json"])?.ended_with(0, &sent)?;

    let second = dir.join("event-2.json");
    fs::write(&second, EVENT.replace("test-001", "test-002")).unwrap();
    let path = second.display().to_string();
    kcat::produce_with(&broker, "xact.events.raw", &["-k", "test-002", &path], &[])?;
    pipeline.wait_no_lag()
}

/// Returns the only row of the trace id.
fn row<'a>(rows: &'a [Value], trace_id: &str) -> &'a Value {
    let mut found = rows.iter().filter(|row| row["trace_id"] == trace_id);
    match (found.next(), found.next()) {
        (Some(row), None) => row,
        _ => panic!("not one row of {trace_id}: {rows:?}"),
    }
}

/// Checks these columns of a row.
fn assert_columns(row: &Value, columns: &Value) {
    for (column, expected) in columns.as_object().unwrap() {
        assert_eq!(&row[column], expected, "{column} of {row}");
    }
}

fn assert_event_rows(rows: &[Value]) {
    assert_eq!(rows.len(), 2);
    let event_id = "33034601-4cde-5f33-b8b6-03dfba430b15";
    assert_columns(row(rows, "test-001"), &json!({"event_id": event_id}));
    for trace_id in ["test-001", "test-002"] {
        let row = row(rows, trace_id);
        assert_columns(
            row,
            &json!({
                "event_id": ids::event_id(trace_id), "type": "documentsReceived", "status_subtype": "documentsReceived",
                "version": null, "event_date": "2024-12-31", "event_timestamp": "2024-12-31T12:00:00.000000Z",
                "assignment_id": "A123", "attachments": URL, "source_system": "test", "note": null,
            }),
        );
        let raw: Value = serde_json::from_str(row["raw_json"].as_str().unwrap()).unwrap();
        let sent: Value = serde_json::from_str(&EVENT.replace("test-001", trace_id)).unwrap();
        assert_eq!(raw, sent);
    }
}

#[test]
fn with_the_default_hosts_the_event_becomes_a_dead_letter_with_the_reason() -> Result<()> {
    let dir = WorkDir::new("guide")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    send_both(&pipeline, &dir)?;

    let audit = pipeline.audit()?;
    assert_eq!(audit.len(), 2, "{audit:?}");
    let tables = pipeline.tables()?;
    assert_event_rows(&tables.events);
    assert_eq!((tables.failed.len(), tables.attachments.len()), (2, 0));
    for trace_id in ["test-001", "test-002"] {
        let failed = row(&tables.failed, trace_id);
        let letter = row(&audit, trace_id);
        assert_columns(
            failed,
            &json!({
                "media_id": ids::media_id(trace_id, URL), "attachment_url": URL, "status_subtype": "documentsReceived",
                "assignment_id": "A123", "error_category": "permanent", "http_status": null, "retry_count": 0,
                "replay_count": 0, "event_date": "2024-12-31",
            }),
        );
        assert_columns(
            letter,
            &json!({
                "media_id": ids::media_id(trace_id, URL), "attachment_url": URL, "stage": "event-ingester",
                "error_category": "permanent",
            }),
        );
        for text in [&failed["error_message"], &letter["final_error"]] {
            assert_contains(text.as_str().unwrap(), &["example.com", "ALLOWED_ATTACHMENT_DOMAINS"]);
        }
    }
    assert_eq!(files_below(&pipeline.files()).len(), 0, "files");
    Ok(())
}

#[test]
fn with_the_host_allowed_the_event_becomes_a_file_and_a_row() -> Result<()> {
    let dir = WorkDir::new("guide")?;
    let mut pipeline = Pipeline::start(&[("ALLOWED_ATTACHMENT_DOMAINS", "example.com")], &dir)?;
    send_both(&pipeline, &dir)?;

    assert_eq!(pipeline.audit()?, Vec::<Value>::new());
    let tables = pipeline.tables()?;
    assert_event_rows(&tables.events);
    assert_eq!((tables.failed.len(), tables.attachments.len()), (0, 2));
    for trace_id in ["test-001", "test-002"] {
        let path = format!("documentsReceived/A123/{trace_id}/A123_test.pdf");
        let file = fs::read(pipeline.files().join(&path)).unwrap();
        assert!(file.starts_with(b"%PDF-"), "it is a PDF");
        assert_columns(
            row(&tables.attachments, trace_id),
            &json!({
                "media_id": ids::media_id(trace_id, URL), "attachment_url": URL, "blob_path": path, "file_type": "PDF",
                "status_subtype": "documentsReceived", "assignment_id": "A123", "content_type": "application/pdf",
                "sha256": hex::encode(Sha256::digest(&file)), "bytes_downloaded": file.len(), "retry_count": 0,
                "event_date": "2024-12-31",
            }),
        );
    }
    assert_eq!(files_below(&pipeline.files()).len(), 2, "no other file");
    assert_eq!(pipeline.cached().len(), 0, "files in the cache");
    pipeline.running.stop()
}
