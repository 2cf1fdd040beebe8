//! Events that tests make themselves.

use serde_json::{Value, json};

/// The raw topic.
pub const RAW: &str = "xact.events.raw";

/// A flat event: `documentsReceived` of assignment `A1`, at noon UTC of the last day of 2024, with these attachments.
#[must_use]
pub fn event(trace_id: &str, attachments: &Value) -> Vec<u8> {
    json!({
        "trace_id": trace_id, "event_type": "documentsReceived", "event_subtype": "xact",
        "timestamp": "2024-12-31T12:00:00Z", "source_system": "e2e", "payload": {"assignmentId": "A1"},
        "attachments": attachments,
    })
    .to_string()
    .into_bytes()
}

/// An event with one good PDF, which ends at `documentsReceived/A1/{trace_id}/A1_a.pdf`.
#[must_use]
pub fn good_event(trace_id: &str) -> Vec<u8> {
    event(
        trace_id,
        &json!([format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf")]),
    )
}
