//! From an event to its download tasks.

use jiff::Timestamp;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use xact_contracts::blob_path::{PathParts, blob_paths};
use xact_contracts::category::Category;
use xact_contracts::markers::UNKNOWN_ASSIGNMENT;
use xact_contracts::messages::{DownloadTask, Event, Problem, metadata};
use xact_contracts::url_guard::UrlPolicy;
use xact_contracts::{file_rules, ids, presigned, time};
use xact_runtime::Context;
use xact_telemetry::metrics::DOMAIN;

/// Returns a task for each attachment of an event; with a problem, the attachment fails instead of being downloaded.
pub(crate) fn of_event(event: &Event, policy: &UrlPolicy, context: &Context) -> Vec<(DownloadTask, Option<Problem>)> {
    let original_timestamp = event.timestamp.or(context.record_timestamp).unwrap_or(context.now);
    let assignment_id = event.assignment_id.as_deref().unwrap_or(UNKNOWN_ASSIGNMENT);
    let (urls, refusals): (Vec<Url>, Vec<_>) = event.attachments.iter().map(|raw| check(raw, policy)).unzip();
    let media_ids = event.attachments.iter().map(|raw| ids::media_id(&event.trace_id, raw));
    let ids_and_urls: Vec<(Uuid, &Url)> = media_ids.zip(&urls).collect();
    let path_parts = PathParts {
        status_subtype: &event.status_subtype,
        assignment_id,
        trace_id: &event.trace_id,
        estimate_version: event.estimate_version.as_deref(),
    };
    let paths = blob_paths(&path_parts, &ids_and_urls);
    let attachments = event.attachments.iter().zip(&ids_and_urls).zip(paths).zip(refusals);
    attachments
        .map(|(((raw, &(media_id, url)), blob_path), refused)| {
            let subtype = event.event_subtype.as_ref().unwrap_or(&event.status_subtype);
            let task = DownloadTask {
                trace_id: event.trace_id.clone(),
                media_id,
                attachment_url: raw.clone(),
                blob_path,
                status_subtype: event.status_subtype.clone(),
                file_type: file_rules::file_type_label(url),
                assignment_id: assignment_id.to_owned(),
                estimate_version: event.estimate_version.clone(),
                retry_count: 0,
                event_type: DOMAIN.to_owned(),
                event_subtype: Some(subtype.clone()),
                original_timestamp: time::to_microseconds(original_timestamp),
                metadata: metadata_of(event, url, context.now),
            };
            let reason = refused.or_else(|| missing_assignment(event));
            (task, reason.map(|reason| Problem::new(Category::Permanent, reason)))
        })
        .collect()
}

/// Returns the URL of an attachment, and the reason if it is not downloaded. A refused URL names a file as well, so that it
/// gets a path of its own.
fn check(raw: &str, policy: &UrlPolicy) -> (Url, Option<String>) {
    match policy.check(raw) {
        Ok(url) => {
            let refused = file_rules::named_type(&url).err();
            (url, refused.map(|error| error.to_string()))
        }
        Err(error) => {
            let url = Url::parse(raw).unwrap_or_else(|_| placeholder());
            (url, Some(error.to_string()))
        }
    }
}

/// Returns a URL without a file name, in place of one that cannot be parsed.
fn placeholder() -> Url {
    // A constant that parses.
    #[allow(clippy::expect_used)]
    Url::parse("https://refused.invalid/").expect("a constant URL")
}

fn missing_assignment(event: &Event) -> Option<String> {
    let reason = "the event names no assignment: payload.assignmentId or payload.assignment_id is missing";
    event.assignment_id.is_none().then(|| reason.to_owned())
}

/// Returns what later stages need to know about the event and the URL.
fn metadata_of(event: &Event, url: &Url, now: Timestamp) -> Map<String, Value> {
    let mut map = Map::new();
    if event.timestamp.is_none() {
        map.insert(metadata::TIMESTAMP_FROM_RECORD.to_owned(), true.into());
    }
    if let Some(expiry) = presigned::expiry(url) {
        map.insert(metadata::EXPIRES_AT.to_owned(), time::format(expiry.expires_at).into());
        map.insert(metadata::EXPIRED_AT_INGEST.to_owned(), expiry.is_expired(now).into());
    }
    map
}
