//! Dead letters as a stage writes them.

use serde_json::{Value, json};

use crate::events::RAW;
use crate::{Result, ids, kcat};

/// Stands for every secret in a dead letter: it is planted wherever one may be.
pub const SECRET: &str = "PLANTEDSIGNATURE";
const PENDING: &str = "xact.downloads.pending";

/// Writes dead letters to a topic as their stage would.
pub fn plant(broker: &str, topic: &str, letters: &[Value]) -> Result<()> {
    let key = |letter: &Value| letter["trace_id"].as_str().unwrap_or_default().to_owned();
    let line = |letter: &Value| format!("{}\t{letter}\n", key(letter));
    let lines: String = letters.iter().map(line).collect();
    let args = ["-K", "\t", "-X", "partitioner=murmur2_random"];
    kcat::produce_with(broker, topic, &args, lines.as_bytes())
}

/// Returns a dead letter of the download stage for a file that the sample server has.
pub fn letter(trace_id: &str) -> Value {
    let url = format!("https://claimxperience.com/ok/2000/{trace_id}/a.pdf?sig={SECRET}");
    let media_id = ids::media_id(trace_id, &url);
    json!({
        "trace_id": trace_id, "media_id": media_id, "attachment_url": url.split('?').next(), "stage": "download",
        "source": {"topic": PENDING, "partition": 0, "offset": 1, "timestamp": null},
        "error_category": "transient", "final_error": "503 Service Unavailable", "retry_count": 4,
        "failed_at": "2025-03-01T12:00:00Z",
        "original_task": {
            "trace_id": trace_id, "media_id": media_id, "attachment_url": url,
            "blob_path": format!("documentsReceived/A1/{trace_id}/A1_a.pdf"), "status_subtype": "documentsReceived",
            "file_type": "PDF", "assignment_id": "A1", "retry_count": 4, "event_type": "xact", "event_subtype": "xact",
            "original_timestamp": "2024-12-31T12:00:00Z",
            "metadata": {"last_error": "503", "error_category": "transient", "retry_at": "2025-03-01T12:00:00Z"},
        },
    })
}

/// Returns the dead letter of an unreadable message.
pub fn unreadable(trace_id: &str, payload: &str) -> Value {
    json!({
        "trace_id": trace_id, "stage": "event-ingester",
        "source": {"topic": RAW, "partition": 0, "offset": 1, "timestamp": null},
        "error_category": "permanent", "final_error": "unreadable event", "retry_count": 0,
        "failed_at": "2025-03-02T12:00:00Z", "original_payload": payload,
    })
}

/// Returns a dead letter with some fields, which it has, replaced.
pub fn with(mut letter: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        if let Some(field) = letter.pointer_mut(pointer) {
            *field = value.clone();
        }
    }
    letter
}
