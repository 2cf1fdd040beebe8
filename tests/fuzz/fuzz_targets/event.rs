//! Any bytes as an `Event`, and the tasks of its attachments.
#![no_main]

use std::collections::HashSet;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use url::Url;

use xact_contracts::blob_path::{PathParts, blob_paths};
use xact_contracts::messages::{DownloadTask, Event, MAX_ID_BYTES, Message};
use xact_contracts::url_guard::{DEFAULT_ALLOWED_HOSTS, UrlPolicy};
use xact_contracts::{file_rules, ids, markers, redaction};
use xact_fuzz::{descendants, refusal};

fuzz_target!(|bytes: &[u8]| {
    let event = match Event::decode(bytes) {
        Ok(event) => event,
        Err(error) => return refusal(&error, bytes),
    };
    assert_eq!(Event::decode(event.raw.as_bytes()).as_ref(), Ok(&event));
    // What is written down of it is the same but for secrets.
    let _ = redaction::redact_json_text(&event.raw);
    for id in [&event.trace_id, &event.event_type, &event.status_subtype] {
        assert!(!id.is_empty() && id.trim() == id && id.len() <= MAX_ID_BYTES, "{id:?}");
    }
    let distinct: HashSet<_> = event.attachments.iter().collect();
    assert_eq!(distinct.len(), event.attachments.len());
    assert!(event.attachments.iter().map(String::len).sum::<usize>() <= 8 * bytes.len());
    event
        .attachments
        .iter()
        .take(20)
        .for_each(|raw| attachment(&event, raw));
});

fn attachment(event: &Event, raw: &str) {
    let policy = UrlPolicy::new(DEFAULT_ALLOWED_HOSTS);
    let url = policy.check(raw).ok().or_else(|| Url::parse(raw).ok());
    let Some(url) = url.or_else(|| Url::parse("https://refused.invalid/").ok()) else {
        return;
    };
    let media_id = ids::media_id(&event.trace_id, raw);
    let parts = PathParts {
        status_subtype: &event.status_subtype,
        assignment_id: event.assignment_id.as_deref().unwrap_or(markers::UNKNOWN_ASSIGNMENT),
        trace_id: &event.trace_id,
        estimate_version: event.estimate_version.as_deref(),
    };
    descendants(&DownloadTask {
        trace_id: event.trace_id.clone(),
        media_id,
        attachment_url: raw.to_owned(),
        blob_path: blob_paths(&parts, &[(media_id, &url)]).remove(0),
        status_subtype: event.status_subtype.clone(),
        file_type: file_rules::file_type_label(&url),
        assignment_id: parts.assignment_id.to_owned(),
        estimate_version: event.estimate_version.clone(),
        retry_count: 0,
        event_type: "xact".to_owned(),
        event_subtype: event.event_subtype.clone(),
        original_timestamp: event.timestamp.unwrap_or(Timestamp::UNIX_EPOCH),
        metadata: serde_json::Map::new(),
    });
}
