//! Creates messages for tests: single events and tasks, and with [`of_seed`] events of every kind.

mod generated;

pub use generated::{DEAD_HOST, Generated, SIGNATURE, of_seed};

use serde_json::{Value, json};

use crate::ids;
use crate::secrets::SIGNED;

/// The raw topic.
pub const RAW: &str = "xact.events.raw";

/// Returns a flat event: `documentsReceived` of assignment `A1`, at noon UTC of the last day of 2024, with these attachments.
pub fn event(trace_id: &str, attachments: &Value) -> Vec<u8> {
    json!({
        "trace_id": trace_id, "event_type": "documentsReceived", "event_subtype": "xact",
        "timestamp": "2024-12-31T12:00:00Z", "source_system": "e2e", "payload": {"assignmentId": "A1"},
        "attachments": attachments,
    })
    .to_string()
    .into_bytes()
}

/// Returns an event with one valid PDF, which is stored at `documentsReceived/A1/{trace_id}/A1_a.pdf`.
pub fn good_event(trace_id: &str) -> Vec<u8> {
    event(
        trace_id,
        &json!([format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf?{SIGNED}")]),
    )
}

/// Returns the download task of an attachment of [`event`] with `metadata`.
pub fn task(trace_id: &str, url: &str, metadata: &Value) -> Vec<u8> {
    let path = url.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({
        "trace_id": trace_id, "media_id": ids::media_id(trace_id, url), "attachment_url": url,
        "blob_path": format!("documentsReceived/A1/{trace_id}/A1_{name}"), "status_subtype": "documentsReceived",
        "file_type": "PDF", "assignment_id": "A1", "original_timestamp": "2024-12-31T12:00:00Z", "metadata": metadata,
    })
    .to_string()
    .into_bytes()
}

/// Returns the result of an attachment of [`event`] whose file is in the lake.
pub fn completed(trace_id: &str, url: &str) -> Vec<u8> {
    json!({
        "trace_id": trace_id, "media_id": ids::media_id(trace_id, url), "attachment_url": url,
        "blob_path": format!("documentsReceived/A1/{trace_id}/A1_a.pdf"), "status_subtype": "documentsReceived",
        "file_type": "PDF", "assignment_id": "A1", "status": "completed", "bytes_downloaded": 5, "sha256": "00",
        "original_timestamp": "2024-12-31T12:00:00Z", "downloaded_at": "2024-12-31T12:00:01Z",
        "created_at": "2024-12-31T12:00:02Z",
    })
    .to_string()
    .into_bytes()
}
