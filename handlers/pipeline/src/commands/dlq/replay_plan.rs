//! What a replay of an entry sends, or why it is not replayed.

use jiff::Timestamp;
use url::Url;

use super::entry::{Content, Entry};
use xact_config::Settings;
use xact_contracts::file_rules;
use xact_contracts::markers::{self, UNKNOWN_ASSIGNMENT};
use xact_contracts::messages::{
    CachedDownload, DeadLetter, DownloadResult, DownloadTask, Event, MAX_ATTACHMENTS, Message, encode, metadata,
};
use xact_contracts::presigned;
use xact_contracts::time;
use xact_contracts::topology::{TopicRole, Topics};
use xact_contracts::url_guard::UrlPolicy;
use xact_kafka::Outgoing;
use xact_kafka::{TRACEPARENT, TRACESTATE};
use xact_telemetry::trace_context::TraceContext;

/// Why an entry is not replayed. Another attempt could not end otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is no dead letter")]
    Foreign,
    #[error("its presigned URL expired at {}", time::format(*.0))]
    Expired(Timestamp),
    #[error("its attachment_url is no URL: the source must send the event anew")]
    NoUrl,
    #[error("its event names no assignment, so the file has no place: the source must send the event anew")]
    NoAssignment,
    #[error("its URL would be refused again: {0} (set the variables as the pipeline has them)")]
    RefusedUrl(String),
    #[error("it would be refused again: {0}; the source must send it anew")]
    Unreadable(String),
    #[error("it was cut to fit the broker: only its event has all of it, at {0}")]
    CutTask(String),
    #[error(
        "only the beginning of its {bytes} bytes was kept: the whole message is at {source_record}, as long as that is retained"
    )]
    CutBytes { bytes: usize, source_record: String },
    #[error("its source topic {0:?} is none of the pipeline's (set the topic names as the pipeline has them)")]
    ForeignSource(String),
    #[error("{0}")]
    Damaged(String),
}

/// What decides whether a replay could end otherwise than the first time.
pub(crate) struct Rules<'a> {
    topics: &'a Topics,
    policy: UrlPolicy,
    now: Timestamp,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(settings: &'a Settings, now: Timestamp) -> Self {
        Self {
            topics: &settings.topics,
            policy: UrlPolicy::new(&settings.allowed_hosts, settings.dev.is_some()),
            now,
        }
    }
}

/// Returns the message that a replay of this entry sends. The same entry always gives the same message: a repeated replay
/// has the same replay count, and so the same keys.
///
/// # Errors
/// When another attempt could not end otherwise.
pub(crate) fn plan(entry: &Entry, rules: &Rules<'_>) -> Result<Outgoing, Refusal> {
    let Content::Letter(letter) = &entry.content else {
        return Err(Refusal::Foreign);
    };
    let (topic, value) = match &letter.original_task {
        Some(task) => {
            check(task, letter, rules)?;
            (rules.topics.pending.clone(), encode(&replayed(task.clone(), entry)))
        }
        None => original(entry, letter, rules.topics)?,
    };
    let header = |name: &str| {
        let (_, value) = entry.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    };
    Ok(Outgoing {
        topic,
        // A dead letter has its message's own key.
        key: entry
            .key
            .clone()
            .or_else(|| letter.trace_id.clone())
            .unwrap_or_default(),
        value,
        trace: header(TRACEPARENT)
            .and_then(|parent| TraceContext::parse(parent, header(TRACESTATE)))
            .unwrap_or_default(),
    })
}

fn check(task: &DownloadTask, letter: &DeadLetter, rules: &Rules<'_>) -> Result<(), Refusal> {
    let texts = [
        &task.attachment_url,
        &task.trace_id,
        &task.blob_path,
        &task.assignment_id,
    ];
    if texts.iter().any(|text| markers::is_truncated(text)) {
        return Err(Refusal::CutTask(source(letter)));
    }
    if !Url::parse(&task.attachment_url).is_ok_and(|url| url.has_host()) {
        return Err(Refusal::NoUrl);
    }
    let refused = |refusal: &dyn std::fmt::Display| Refusal::RefusedUrl(refusal.to_string());
    let url = rules
        .policy
        .check(&task.attachment_url)
        .map_err(|refusal| refused(&refusal))?;
    file_rules::named_type(&url).map_err(|refusal| refused(&refusal))?;
    if task.assignment_id == UNKNOWN_ASSIGNMENT {
        return Err(Refusal::NoAssignment);
    }
    match presigned::expiry(&url) {
        Some(expiry) if expiry.is_expired(rules.now) => Err(Refusal::Expired(expiry.expires_at)),
        _ => Ok(()),
    }
}

/// The task for another round of attempts.
fn replayed(mut task: DownloadTask, entry: &Entry) -> DownloadTask {
    let replay_count = task.replay_count().saturating_add(1);
    task.retry_count = 0;
    for stale in [metadata::LAST_ERROR, metadata::ERROR_CATEGORY, metadata::RETRY_AT] {
        task.metadata.shift_remove(stale);
    }
    let mut note = |name: &str, value: serde_json::Value| task.metadata.insert(name.to_owned(), value);
    note(metadata::REPLAYED_FROM_DLQ, true.into());
    note(metadata::DLQ_PARTITION, entry.place.partition.into());
    note(metadata::DLQ_OFFSET, entry.place.offset.into());
    note(metadata::REPLAY_COUNT, replay_count.into());
    task
}

/// An unreadable message and the topic that it came from.
fn original(entry: &Entry, letter: &DeadLetter, topics: &Topics) -> Result<(String, Vec<u8>), Refusal> {
    if let Some(bytes) = letter.original_cut_from {
        return Err(Refusal::CutBytes {
            bytes,
            source_record: source(letter),
        });
    }
    let Some(role) = topics
        .role_of(&letter.source.topic)
        .filter(|role| *role != TopicRole::Dlq)
    else {
        return Err(Refusal::ForeignSource(letter.source.topic.clone()));
    };
    let bytes = entry
        .original_bytes()
        .map_err(Refusal::Damaged)?
        .ok_or_else(|| Refusal::Damaged("it holds neither a task nor a message".to_owned()))?;
    readable(role, &bytes).map_err(Refusal::Unreadable)?;
    Ok((letter.source.topic.clone(), bytes))
}

/// Whether the stage that reads this topic can read the message: an earlier version may not have been able to.
fn readable(role: TopicRole, bytes: &[u8]) -> Result<(), String> {
    let read = match role {
        TopicRole::Raw => {
            let event = Event::decode(bytes).map_err(|error| error.to_string())?;
            let count = event.attachments.len();
            return match count > MAX_ATTACHMENTS {
                true => Err(format!(
                    "the event names {count} attachments, at most {MAX_ATTACHMENTS} are taken"
                )),
                false => Ok(()),
            };
        }
        TopicRole::Pending | TopicRole::Retry => DownloadTask::decode(bytes).map(drop),
        TopicRole::Cached => CachedDownload::decode(bytes).map(drop),
        TopicRole::Results => DownloadResult::decode(bytes).map(drop),
        TopicRole::Dlq => DeadLetter::decode(bytes).map(drop),
    };
    read.map_err(|error| error.to_string())
}

/// `topic[partition] offset n`.
pub(super) fn source(letter: &DeadLetter) -> String {
    let source = &letter.source;
    format!("{}[{}] offset {}", source.topic, source.partition, source.offset)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::entry::Place;
    use super::*;
    use xact_config::Environment;
    use xact_contracts::category::Category;
    use xact_contracts::messages::{Problem, Source};

    fn now() -> Timestamp {
        "2025-01-01T00:00:00Z".parse().unwrap()
    }

    fn a_task() -> DownloadTask {
        let text = json!({"trace_id": "t", "media_id": "13bb61f0-41d1-548c-97c8-ebdee367da68",
            "attachment_url": "https://a.example/b.pdf?sig=S", "blob_path": "p", "status_subtype": "s", "file_type": "PDF",
            "assignment_id": "A1", "retry_count": 4, "original_timestamp": "2024-12-31T12:00:00Z",
            "metadata": {"last_error": "503", "error_category": "transient", "retry_at": "2025-01-01T00:00:00Z",
                "expires_at": "2026-01-01T00:00:00Z", "note": "kept"}});
        DownloadTask::decode(text.to_string().as_bytes()).unwrap()
    }

    fn entry(letter: DeadLetter) -> Entry {
        Entry {
            place: Place {
                partition: 1,
                offset: 7,
            },
            written: None,
            key: Some("t".to_owned()),
            headers: Vec::new(),
            content: Content::Letter(Box::new(letter)),
            mark: None,
        }
    }

    fn at(topic: &str) -> Source {
        Source {
            topic: topic.to_owned(),
            partition: 2,
            offset: 9,
            timestamp: None,
        }
    }

    fn of_task(task: DownloadTask) -> Entry {
        let problem = Problem::new(Category::Transient, "503");
        entry(DeadLetter::of_task(
            task,
            &problem,
            "download",
            at("xact.downloads.pending"),
            now(),
        ))
    }

    fn of_bytes(bytes: &[u8], topic: &str) -> Entry {
        let problem = Problem::new(Category::Permanent, "unreadable");
        entry(DeadLetter::of_payload(
            bytes,
            None,
            &problem,
            "upload",
            at(topic),
            now(),
        ))
    }

    /// An entry at 1:7 of the download stage.
    pub(in super::super) fn a_letter() -> Entry {
        of_task(a_task())
    }

    fn planned(entry: &Entry) -> Result<Outgoing, Refusal> {
        let settings = Settings::from_environment(&Environment::default()).unwrap();
        let mut rules = Rules::new(&settings, now());
        rules.policy = UrlPolicy::new(["a.example", "claimxperience.com"], false);
        plan(entry, &rules)
    }

    #[test]
    fn a_task_goes_back_fresh_and_says_where_it_comes_from() {
        let sent = planned(&a_letter()).unwrap();
        assert_eq!(
            (sent.topic.as_str(), sent.key.as_str()),
            ("xact.downloads.pending", "t")
        );
        let task = DownloadTask::decode(&sent.value).unwrap();
        assert_eq!((task.retry_count, task.replay_count(), task.retry_at()), (0, 1, None));
        assert_eq!(
            serde_json::Value::from(task.metadata.clone()),
            json!({"expires_at": "2026-01-01T00:00:00Z", "note": "kept", "replayed_from_dlq": true,
                "dlq_partition": 1, "dlq_offset": 7, "replay_count": 1})
        );
        assert_eq!(
            task.attachment_url,
            a_task().attachment_url,
            "the whole URL, or it could not be fetched"
        );
        // The same entry again: the same message, so the same keys.
        assert_eq!(planned(&a_letter()).unwrap().value, sent.value);
        // Its failure comes back as another entry, whose replay counts on.
        let again = DownloadTask::decode(&planned(&of_task(task)).unwrap().value).unwrap();
        assert_eq!(again.replay_count(), 2);
    }

    #[test]
    fn bytes_that_can_be_read_by_now_go_back_to_their_topic_as_they_came() {
        let event = "\u{FEFF}{ \"TraceId\":\"t\", \"type\":\"cut \\ud83d\" }".as_bytes();
        let task = encode(&a_task());
        for (topic, bytes) in [("xact.events.raw", event), ("xact.downloads.pending.retry.5m", &task)] {
            let sent = planned(&of_bytes(bytes, topic)).unwrap();
            assert_eq!((sent.topic.as_str(), sent.value.as_slice()), (topic, bytes));
        }
    }

    #[test]
    fn what_could_not_end_otherwise_is_refused_with_its_reason() {
        let task = |change: &dyn Fn(&mut DownloadTask)| {
            let mut task = a_task();
            change(&mut task);
            of_task(task)
        };
        let foreign = Entry {
            content: Content::Foreign(b"x".to_vec()),
            ..a_letter()
        };
        let damaged = |change: &dyn Fn(&mut DeadLetter)| {
            let mut letter = of_bytes(b"\xff", "xact.events.raw").letter().unwrap().clone();
            change(&mut letter);
            entry(letter)
        };
        let mass = json!({"trace_id": "t", "type": "x", "attachments": (0..1001).collect::<Vec<_>>()}).to_string();
        let expired = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
        for (entry, reason) in [
            (foreign, "no dead letter"),
            (of_bytes(b"\xff\x00{", "xact.events.raw"), "it is not UTF-8 at byte 0"),
            (of_bytes(mass.as_bytes(), "xact.events.raw"), "names 1001 attachments"),
            (of_bytes(b"{}", "xact.downloads.cached"), "missing field"),
            (of_bytes(b"[]", "xact.downloads.results"), "refused again"),
            (
                task(&|task| task.attachment_url = "https://other.example/b.pdf".to_owned()),
                "ALLOWED_ATTACHMENT_DOMAINS",
            ),
            (
                task(&|task| task.attachment_url = "https://a.example/b.exe".to_owned()),
                "`exe` are not accepted",
            ),
            (task(&|task| task.attachment_url = "5".to_owned()), "no URL"),
            (task(&|task| task.attachment_url = "data:x".to_owned()), "no URL"),
            (
                task(&|task| task.attachment_url = expired.to_owned()),
                "expired at 2024-01-01T00:00:01",
            ),
            (
                task(&|task| task.assignment_id = UNKNOWN_ASSIGNMENT.to_owned()),
                "names no assignment",
            ),
            (task(&|task| task.blob_path = markers::truncate("xx yy", 2)), "was cut"),
            (
                of_bytes(&[1; 1_000_000], "xact.events.raw"),
                "the beginning of its 1000000 bytes",
            ),
            (of_bytes(b"x", "xact.downloads.dlq"), "none of the pipeline's"),
            (of_bytes(b"x", "somebody.elses"), "none of the pipeline's"),
            (
                damaged(&|letter| letter.original_payload = Some("?".to_owned())),
                "base64 is damaged",
            ),
            (
                damaged(&|letter| letter.original_payload = None),
                "neither a task nor a message",
            ),
        ] {
            let refusal = planned(&entry).unwrap_err().to_string();
            assert!(refusal.contains(reason), "{refusal}");
        }
    }
}
