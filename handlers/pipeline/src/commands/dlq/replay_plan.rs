//! What a replay of an entry sends, or why it is not replayed.

use super::entry::{Content, Entry};
use contracts::messages::{DeadLetter, DownloadTask, encode, metadata};
use contracts::presigned;
use contracts::time;
use contracts::topology::{TopicRole, Topics};
use jiff::Timestamp;
use runtime::produce::Outgoing;
use runtime::record::{TRACEPARENT, TRACESTATE};
use runtime::trace_context::TraceContext;
use url::Url;

/// How the runtime ends a text that it had to cut to make a message fit.
const CUT: &str = " bytes, cut]";

/// How the ingester calls the assignment of an event that names none.
const UNKNOWN_ASSIGNMENT: &str = "unknown";

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

/// The message that a replay of this entry sends. The same entry always gives the same message: a repeated replay
/// has the same replay count, and so the same keys.
pub(crate) fn plan(entry: &Entry, topics: &Topics, now: Timestamp) -> Result<Outgoing, Refusal> {
    let Content::Letter(letter) = &entry.content else {
        return Err(Refusal::Foreign);
    };
    let (topic, value) = match &letter.original_task {
        Some(task) => {
            check(task, letter, now)?;
            (topics.pending.clone(), encode(&replayed(task.clone(), entry)))
        }
        None => original(entry, letter, topics)?,
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

fn check(task: &DownloadTask, letter: &DeadLetter, now: Timestamp) -> Result<(), Refusal> {
    let texts = [
        &task.attachment_url,
        &task.trace_id,
        &task.blob_path,
        &task.assignment_id,
    ];
    if texts.iter().any(|text| text.ends_with(CUT)) {
        return Err(Refusal::CutTask(source(letter)));
    }
    let Some(url) = Url::parse(&task.attachment_url).ok().filter(Url::has_host) else {
        return Err(Refusal::NoUrl);
    };
    if task.assignment_id == UNKNOWN_ASSIGNMENT {
        return Err(Refusal::NoAssignment);
    }
    match presigned::expiry(&url) {
        Some(expiry) if expiry.is_expired(now) => Err(Refusal::Expired(expiry.expires_at)),
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
    match topics.role_of(&letter.source.topic) {
        None | Some(TopicRole::Dlq) => return Err(Refusal::ForeignSource(letter.source.topic.clone())),
        Some(_) => {}
    }
    let bytes = entry
        .original_bytes()
        .map_err(Refusal::Damaged)?
        .ok_or_else(|| Refusal::Damaged("it holds neither a task nor a message".to_owned()))?;
    Ok((letter.source.topic.clone(), bytes))
}

/// `topic[partition] offset n`.
pub(super) fn source(letter: &DeadLetter) -> String {
    let source = &letter.source;
    format!("{}[{}] offset {}", source.topic, source.partition, source.offset)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entry::Place;
    use super::*;
    use contracts::category::Category;
    use contracts::messages::{Message, Problem, Source};
    use serde_json::json;

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
        plan(entry, &Topics::default(), now())
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
    fn unreadable_bytes_go_back_to_their_topic_as_they_came() {
        for topic in ["xact.events.raw", "xact.downloads.cached", "xact.downloads.results"] {
            let sent = planned(&of_bytes(b"\xff\x00{", topic)).unwrap();
            assert_eq!((sent.topic.as_str(), sent.value.as_slice()), (topic, &b"\xff\x00{"[..]));
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
        let expired = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
        for (entry, reason) in [
            (foreign, "no dead letter"),
            (task(&|task| task.attachment_url = "5".to_owned()), "no URL"),
            (task(&|task| task.attachment_url = "data:x".to_owned()), "no URL"),
            (
                task(&|task| task.attachment_url = expired.to_owned()),
                "expired at 2024-01-01T00:00:01",
            ),
            (
                task(&|task| task.assignment_id = "unknown".to_owned()),
                "names no assignment",
            ),
            (
                task(&|task| task.blob_path = "xx [900000 bytes, cut]".to_owned()),
                "was cut",
            ),
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
