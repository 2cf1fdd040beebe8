//! The audit line of a record, and the labels it is counted by.

use jiff::Timestamp;
use serde_json::{Value, json};

use xact_contracts::messages::{DeadLetterRecord, Payload};
use xact_contracts::redaction::{redact_text, redact_url};
use xact_contracts::{time, topology};

/// Most characters of a foreign record that its audit line quotes.
const MAX_QUOTED_CHARS: usize = 2000;

/// Returns one JSON object that says what happened, redacted; `None` for a tombstone.
pub(crate) fn audit_line(record: &DeadLetterRecord, now: Timestamp) -> Option<Value> {
    match record {
        DeadLetterRecord::Letter(letter) => Some(json!({
            "audited_at": time::format(now),
            "trace_id": letter.trace_id,
            "media_id": letter.media_id,
            "attachment_url": letter.attachment_url.as_deref().map(redact_url),
            "stage": letter.stage,
            "source": letter.source,
            "error_category": letter.error_category,
            "final_error": redact_text(&letter.final_error),
            "retry_count": letter.retry_count,
            "failed_at": time::format(letter.failed_at),
            "blob_path": letter.original_task.as_ref().map(|task| task.blob_path.as_str()),
            "assignment_id": letter.original_task.as_ref().map(|task| task.assignment_id.as_str()),
            "payload_bytes": letter.original_payload.as_ref().map(String::len),
        })),
        DeadLetterRecord::Foreign { bytes, .. } => {
            let payload = Payload::of_bytes(bytes);
            Some(json!({
                "audited_at": time::format(now),
                "final_error": "not a dead letter (foreign record on this topic)",
                "original_payload": redact_text(&payload.text.chars().take(MAX_QUOTED_CHARS).collect::<String>()),
                "original_encoding": payload.encoding,
                "payload_bytes": bytes.len(),
            }))
        }
        DeadLetterRecord::Tombstone => None,
    }
}

/// Returns the stage and the category that a record is counted by.
pub(crate) fn labels(record: &DeadLetterRecord) -> [&str; 2] {
    let Some(letter) = record.letter() else {
        return ["other", "unknown"];
    };
    // A message may name any stage, and each new label value would be a new time series.
    let mut stages = topology::STAGES.iter().map(|row| row.name);
    let stage = stages.find(|name| *name == letter.stage).unwrap_or("other");
    [stage, letter.error_category.as_str()]
}
