//! The event ingester: expands each event into one download task per attachment.
//!
//! A refused URL or a missing assignment id fails that attachment alone, with a dead letter and a result: never silence.

mod seen;

use contracts::blob_path::{PathParts, blob_paths};
use contracts::category::Category;
use contracts::file_rules;
use contracts::ids;
use contracts::messages::{DownloadTask, Event, Problem, metadata};
use contracts::presigned;
use contracts::time;
use contracts::topology::Stage;
use contracts::url_guard::UrlPolicy;
use jiff::Timestamp;
use runtime::config::Settings;
use runtime::metrics::{DOMAIN, metrics};
use runtime::{Context, EachService, Emit, Factory, Failure, Handler, Limits, Outcome};
use seen::Seen;
use serde_json::Map;
use std::sync::Arc;
use std::time::Instant;
use url::Url;
use uuid::Uuid;

/// Stands where an event names no assignment: visible in path and row, and never a real id.
const UNKNOWN_ASSIGNMENT: &str = "unknown";

/// The handler.
pub struct EventIngester {
    policy: UrlPolicy,
    seen: Arc<Seen>,
}

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        Ok(EachService::new(
            Stage::EventIngester,
            EventIngester::new(settings),
            Limits::of_concurrency(Stage::EventIngester.row().concurrency),
        ))
    })
}

impl EventIngester {
    /// With the configured hosts.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            policy: UrlPolicy::new(&settings.allowed_hosts, settings.dev.is_some()),
            seen: Arc::default(),
        }
    }

    fn expand(&self, event: &Event, context: &Context) -> Emit {
        let original_timestamp = event
            .timestamp
            .or(context.record_timestamp)
            .unwrap_or(context.now);
        let parsed: Vec<Attachment<'_>> = event
            .attachments
            .iter()
            .map(|url| Attachment::read(&event.trace_id, url, &self.policy))
            .collect();
        let named: Vec<(Uuid, &Url)> = parsed
            .iter()
            .map(|attachment| (attachment.media_id, &attachment.url))
            .collect();
        let paths = blob_paths(
            &PathParts {
                status_subtype: &event.status_subtype,
                assignment_id: event.assignment_id.as_deref().unwrap_or(UNKNOWN_ASSIGNMENT),
                trace_id: &event.trace_id,
                estimate_version: event.estimate_version.as_deref(),
            },
            &named,
        );
        parsed
            .into_iter()
            .zip(paths)
            .fold(Emit::nothing(), |emit, (attachment, blob_path)| {
                let refused = attachment.refused.or_else(|| {
                    event.assignment_id.is_none().then(|| {
                        "the event names no assignment: payload.assignmentId or payload.assignment_id is missing".to_owned()
                    })
                });
                let task = DownloadTask {
                    trace_id: event.trace_id.clone(),
                    media_id: attachment.media_id,
                    attachment_url: attachment.raw.to_owned(),
                    blob_path,
                    status_subtype: event.status_subtype.clone(),
                    file_type: file_rules::file_type_label(&attachment.url),
                    assignment_id: event
                        .assignment_id
                        .clone()
                        .unwrap_or_else(|| UNKNOWN_ASSIGNMENT.to_owned()),
                    estimate_version: event.estimate_version.clone(),
                    retry_count: 0,
                    event_type: DOMAIN.to_owned(),
                    event_subtype: event
                        .event_subtype
                        .clone()
                        .or_else(|| Some(event.status_subtype.clone())),
                    original_timestamp: time::to_microseconds(original_timestamp),
                    metadata: expiry_notes(&attachment.url, context.now),
                };
                let kind = if refused.is_some() { "refused" } else { "download" };
                metrics().tasks_produced.with_label_values(&[DOMAIN, kind]).inc();
                match refused {
                    Some(reason) => emit.failed(task, Problem::new(Category::Permanent, reason)),
                    None => emit.task(task),
                }
            })
    }
}

impl Handler for EventIngester {
    type Input = Event;

    async fn handle(&self, event: Event, context: &Context) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let fingerprint = Seen::fingerprint(&event.trace_id, &event.attachments);
        let (emit, status) = if self.seen.contains(fingerprint, context.now) {
            (Emit::nothing(), "duplicate")
        } else {
            let (seen, now) = (Arc::clone(&self.seen), context.now);
            // Only once its tasks are safe: a redelivery before that must expand it again.
            let emit = self
                .expand(&event, context)
                .then(move || seen.insert(fingerprint, now));
            (emit, "success")
        };
        metrics().events_ingested.with_label_values(&[DOMAIN, status]).inc();
        metrics()
            .ingestion_duration
            .with_label_values(&[DOMAIN])
            .observe(started.elapsed().as_secs_f64());
        Ok(emit.into())
    }
}

/// One URL of an event.
struct Attachment<'a> {
    raw: &'a str,
    media_id: Uuid,
    /// For names: also of a refused URL, so that it has a path and cannot take another's.
    url: Url,
    refused: Option<String>,
}

impl<'a> Attachment<'a> {
    fn read(trace_id: &str, raw: &'a str, policy: &UrlPolicy) -> Self {
        let (url, refused) = match policy.check(raw) {
            Ok(url) => {
                let refused = file_rules::allowed_type(&url).err();
                (Some(url), refused.map(|refusal| refusal.to_string()))
            }
            Err(refusal) => (Url::parse(raw).ok(), Some(refusal.to_string())),
        };
        Self {
            raw,
            media_id: ids::media_id(trace_id, raw),
            url: url.unwrap_or_else(nameless),
            refused,
        }
    }
}

/// A URL without a file name, for what cannot be parsed.
fn nameless() -> Url {
    // A constant that parses.
    #[allow(clippy::expect_used)]
    Url::parse("https://refused.invalid/").expect("a constant URL")
}

fn expiry_notes(url: &Url, now: Timestamp) -> Map<String, serde_json::Value> {
    let mut notes = Map::new();
    if let Some(expiry) = presigned::expiry(url) {
        notes.insert(metadata::EXPIRES_AT.to_owned(), time::format(expiry.expires_at).into());
        notes.insert(metadata::EXPIRED_AT_INGEST.to_owned(), expiry.is_expired(now).into());
    }
    notes
}
