//! The event ingester: expands each event into one download task per attachment.
//!
//! A refused URL or a missing assignment id fails that attachment alone, with a dead letter and a result: never silence.

mod irregular;
mod seen;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Map;
use url::Url;
use uuid::Uuid;

use irregular::Irregular;
use seen::Seen;
use xact_config::Settings;
use xact_contracts::blob_path::{PathParts, blob_paths};
use xact_contracts::category::Category;
use xact_contracts::file_rules;
use xact_contracts::ids;
use xact_contracts::markers::UNKNOWN_ASSIGNMENT;
use xact_contracts::messages::{DownloadTask, Event, MAX_ATTACHMENTS, Problem, metadata};
use xact_contracts::presigned;
use xact_contracts::time;
use xact_contracts::topology::Stage;
use xact_contracts::url_guard::UrlPolicy;
use xact_runtime::{Context, EachService, Emit, Factory, Failure, Handler, Limits, Outcome};
use xact_telemetry::metrics::{DOMAIN, metrics};

/// The handler.
pub struct EventIngester {
    policy: UrlPolicy,
    seen: Arc<Seen>,
    irregular: Irregular,
}

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        Ok(EachService::new(
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
            irregular: Irregular::new(settings.ignored_url_paths.clone()),
        }
    }

    fn expand(&self, event: &Event, context: &Context) -> Emit<Self> {
        let original_timestamp = event.timestamp.or(context.record_timestamp).unwrap_or(context.now);
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
            .fold(Emit::new(), |emit, (attachment, blob_path)| {
                let refused = attachment.refused.or_else(|| {
                    event.assignment_id.is_none().then(|| {
                        "the event names no assignment: payload.assignmentId or payload.assignment_id is missing"
                            .to_owned()
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
                    metadata: notes(event, &attachment.url, context.now),
                };
                let kind = if refused.is_some() { "refused" } else { "download" };
                metrics().tasks_produced(DOMAIN, kind).inc();
                match refused {
                    Some(reason) => emit.failed(task, Problem::new(Category::Permanent, reason)),
                    None => emit.message(&task),
                }
            })
    }
}

impl Handler for EventIngester {
    const STAGE: Stage = Stage::EventIngester;

    type Input = Event;

    async fn handle(&self, event: &Event, context: &Context) -> Result<Outcome<Self>, Failure> {
        if event.attachments.len() > MAX_ATTACHMENTS {
            return Err(Failure::message(
                Category::Permanent,
                format!(
                    "the event names {} attachments, at most {MAX_ATTACHMENTS} are taken",
                    event.attachments.len()
                ),
            ));
        }
        let started = Instant::now();
        self.irregular.note(event);
        let fingerprint = Seen::fingerprint(&event.trace_id, &event.attachments);
        let (emit, status) = if self.seen.contains(fingerprint, context.now) {
            (Emit::new(), "duplicate")
        } else {
            let (seen, now) = (Arc::clone(&self.seen), context.now);
            // Only once its tasks are safe: a redelivery before that must expand it again.
            let emit = self
                .expand(event, context)
                .then(async move { seen.insert(fingerprint, now) });
            (emit, "success")
        };
        metrics().events_ingested(DOMAIN, status).inc();
        metrics()
            .ingestion_duration(DOMAIN)
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
                let refused = file_rules::named_type(&url).err();
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

/// What the later stages must know of the event and of its URL.
fn notes(event: &Event, url: &Url, now: Timestamp) -> Map<String, serde_json::Value> {
    let mut notes = Map::new();
    if event.timestamp.is_none() {
        notes.insert(metadata::TIMESTAMP_FROM_RECORD.to_owned(), true.into());
    }
    if let Some(expiry) = presigned::expiry(url) {
        notes.insert(metadata::EXPIRES_AT.to_owned(), time::format(expiry.expires_at).into());
        notes.insert(metadata::EXPIRED_AT_INGEST.to_owned(), expiry.is_expired(now).into());
    }
    notes
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use xact_config::Environment;
    use xact_contracts::messages::Message;

    fn ingester() -> EventIngester {
        EventIngester::new(&Settings::from_environment(&Environment::default()).unwrap())
    }

    fn context() -> Context {
        Context {
            now: "2025-01-01T00:00:00Z".parse().unwrap(),
            record_timestamp: "2024-06-01T00:00:00Z".parse().ok(),
        }
    }

    fn event(assignment: &Value, attachments: &[&str]) -> Event {
        Event::from_value(
            &json!({"trace_id": "test-001", "event_type": "documentsReceived", "timestamp": "2024-12-31T12:00:00Z",
            "payload": {"assignmentId": assignment}, "attachments": attachments}),
        )
        .unwrap()
    }

    /// Topics and messages that the runtime makes of what the handler emitted.
    async fn produced(ingester: &EventIngester, event: Event) -> Vec<(String, Value)> {
        let Outcome::Emit(emit) = ingester.handle(&event, &context()).await.unwrap() else {
            panic!("an event is never held");
        };
        xact_runtime::routing::produced(emit, context().now).await
    }

    #[tokio::test]
    async fn each_attachment_becomes_a_task_with_the_ids_of_the_specification() {
        let out = produced(
            &ingester(),
            event(&json!("A123"), &["https://claimxperience.com/test.pdf"]),
        )
        .await;
        assert_eq!(out.len(), 1);
        let (topic, task) = &out[0];
        assert_eq!(topic, "xact.downloads.pending");
        assert_eq!(task["media_id"], "13bb61f0-41d1-548c-97c8-ebdee367da68");
        assert_eq!(task["blob_path"], "documentsReceived/A123/test-001/A123_test.pdf");
        assert_eq!(task["file_type"], "PDF");
        assert_eq!(task["original_timestamp"], "2024-12-31T12:00:00.000000Z");
        assert_eq!((&task["retry_count"], &task["event_type"]), (&json!(0), &json!("xact")));
    }

    #[tokio::test]
    async fn a_refused_url_fails_alone_and_aloud() {
        let good = "https://claimxperience.com/a.pdf";
        for (bad, reason) in [
            ("https://example.com/test.pdf", "example.com"),
            ("http://claimxperience.com/a.pdf", "http"),
            ("https://claimxperience.com/setup.exe", "exe"),
            ("not a url", ""),
            ("5", ""),
        ] {
            let out = produced(&ingester(), event(&json!("A"), &[bad, good])).await;
            let topics: Vec<_> = out.iter().map(|(topic, _)| topic.as_str()).collect();
            assert_eq!(
                topics,
                ["xact.downloads.results", "xact.downloads.dlq", "xact.downloads.pending"],
                "{bad}"
            );
            assert_eq!(out[0].1["status"], "failed_permanent");
            assert_eq!(out[1].1["error_category"], "permanent");
            let text = out[1].1["final_error"].as_str().unwrap();
            assert!(text.contains(reason), "{text}");
            assert_eq!(out[1].1["original_task"]["attachment_url"], bad);
        }
    }

    #[tokio::test]
    async fn a_file_that_nothing_names_is_left_to_the_download_stage() {
        let urls = [
            "https://claimxperience.com/files/123e4567-e89b-12d3-a456-426614174000",
            "https://claimxperience.com/download.ashx?id=7",
            "https://claimxperience.com/download.ashx?id=7&filename=roof.jpeg",
        ];
        let out = produced(&ingester(), event(&json!("A"), &urls)).await;
        let tasks: Vec<_> = out
            .iter()
            .map(|(topic, task)| {
                (
                    topic.as_str(),
                    task["file_type"].as_str().unwrap(),
                    task["blob_path"].as_str().unwrap(),
                )
            })
            .collect();
        let pending = "xact.downloads.pending";
        let path = |name: &str| format!("documentsReceived/A/test-001/A_{name}");
        let paths = ["123e4567-e89b-12d3-a456-426614174000", "download", "roof.jpeg"].map(path);
        assert_eq!(
            tasks,
            [
                (pending, "UNKNOWN", paths[0].as_str()),
                (pending, "UNKNOWN", paths[1].as_str()),
                (pending, "JPEG", paths[2].as_str())
            ]
        );
    }

    #[tokio::test]
    async fn an_event_with_a_mass_of_attachments_fails_as_a_whole() {
        let mut event = event(&json!("A"), &[]);
        event.attachments = (0..=MAX_ATTACHMENTS).map(|number| number.to_string()).collect();
        let Err(Failure::Message { problem, .. }) = ingester().handle(&event, &context()).await else {
            panic!("it must be refused");
        };
        assert!(problem.message().contains("1001 attachments"));
    }

    #[tokio::test]
    async fn a_missing_assignment_fails_every_attachment() {
        let out = produced(&ingester(), event(&Value::Null, &["https://claimxperience.com/a.pdf"])).await;
        assert_eq!(out.len(), 2);
        assert!(
            out[1].1["final_error"]
                .as_str()
                .unwrap()
                .contains("names no assignment")
        );
        // The dead letter must be readable, to be replayed once the event is mended.
        assert!(xact_contracts::messages::DeadLetter::decode(out[1].1.to_string().as_bytes()).is_ok());
    }

    #[tokio::test]
    async fn expiry_is_noted_and_the_download_stage_judges_it() {
        let url = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
        let out = produced(&ingester(), event(&json!("A"), &[url])).await;
        let notes = &out[0].1["metadata"];
        assert_eq!(notes["expires_at"], "2024-01-01T00:00:01.000000Z");
        assert_eq!(notes["expired_at_ingest"], true);
    }

    #[tokio::test]
    async fn an_event_is_expanded_once_and_again_until_its_tasks_are_safe() {
        let ingester = ingester();
        let event = event(&json!("A"), &["https://claimxperience.com/a.pdf"]);
        // Nothing was acknowledged: a redelivery must expand it again.
        let Outcome::Emit(first) = ingester.handle(&event, &context()).await.unwrap() else {
            panic!();
        };
        drop(first);
        assert_eq!(produced(&ingester, event.clone()).await.len(), 1);
        assert_eq!(produced(&ingester, event.clone()).await.len(), 0);
        let mut other = event;
        other.attachments.push("https://claimxperience.com/b.pdf".to_owned());
        assert_eq!(produced(&ingester, other).await.len(), 2);
    }
}
