//! Tests of the messages that replays send.

use serde_json::json;

use super::super::entry_id::EntryId;
use super::*;
use xact_config::Environment;
use xact_contracts::category::Category;
use xact_contracts::messages::Problem;

fn now() -> Timestamp {
    "2025-01-01T00:00:00Z".parse().unwrap()
}

fn task() -> DownloadTask {
    let text = json!({"trace_id": "t", "media_id": "13bb61f0-41d1-548c-97c8-ebdee367da68",
        "attachment_url": "https://a.example/b.pdf?sig=S", "blob_path": "p", "status_subtype": "s", "file_type": "PDF",
        "assignment_id": "A1", "retry_count": 4, "original_timestamp": "2024-12-31T12:00:00Z",
        "metadata": {"last_error": "503", "error_category": "transient", "retry_at": "2025-01-01T00:00:00Z",
            "expires_at": "2026-01-01T00:00:00Z", "note": "kept"}});
    DownloadTask::decode(text.to_string().as_bytes()).unwrap()
}

fn entry(content: DeadLetterRecord) -> Entry {
    Entry {
        id: EntryId {
            partition: 1,
            offset: 7,
        },
        written: None,
        key: Some("t".to_owned()),
        headers: Vec::new(),
        content,
        mark: None,
    }
}

fn letter_entry(letter: DeadLetter) -> Entry {
    entry(DeadLetterRecord::Letter(Box::new(letter)))
}

fn at(topic: &str) -> SourceRecord {
    SourceRecord {
        topic: topic.to_owned(),
        partition: 2,
        offset: 9,
        timestamp: None,
    }
}

fn of_task(task: DownloadTask) -> Entry {
    let problem = Problem::new(Category::Transient, "503");
    let source = at("xact.downloads.pending");
    letter_entry(DeadLetter::of_task(task, &problem, "download", source, now()))
}

fn of_bytes(bytes: &[u8], topic: &str) -> Entry {
    let problem = Problem::new(Category::Permanent, "unreadable");
    letter_entry(DeadLetter::of_payload(
        bytes,
        None,
        &problem,
        "upload",
        at(topic),
        now(),
    ))
}

/// An entry at 1:7 of the download stage.
pub(in super::super) fn task_entry() -> Entry {
    of_task(task())
}

fn replay(entry: &Entry) -> Result<Outgoing, ReplayError> {
    let settings = Settings::from_environment(&Environment::default()).unwrap();
    let mut rules = ReplayRules::new(&settings, now());
    rules.policy = UrlPolicy::new(["a.example", "claimxperience.com"]);
    message(entry, &rules)
}

#[test]
fn a_task_starts_again_and_records_its_dead_letter() {
    let sent = replay(&task_entry()).unwrap();
    assert_eq!(
        (sent.topic.as_str(), sent.key.as_str()),
        ("xact.downloads.pending", "t")
    );
    let replayed = DownloadTask::decode(&sent.value).unwrap();
    assert_eq!(
        (replayed.retry_count, replayed.replay_count(), replayed.retry_at()),
        (0, 1, None)
    );
    assert_eq!(
        serde_json::Value::from(replayed.metadata.clone()),
        json!({"expires_at": "2026-01-01T00:00:00Z", "note": "kept", "replayed_from_dlq": true,
            "dlq_partition": 1, "dlq_offset": 7, "replay_count": 1})
    );
    assert_eq!(
        replayed.attachment_url,
        task().attachment_url,
        "the whole URL, or it could not be fetched"
    );
    // The same entry again: the same message, so the same keys.
    assert_eq!(replay(&task_entry()).unwrap().value, sent.value);
    // Its failure comes back as another entry, whose replay counts on.
    let again = DownloadTask::decode(&replay(&of_task(replayed)).unwrap().value).unwrap();
    assert_eq!(again.replay_count(), 2);
}

#[test]
fn bytes_that_are_readable_by_now_go_back_to_their_topic_unchanged() {
    let event = "\u{FEFF}{ \"TraceId\":\"t\", \"type\":\"cut \\ud83d\" }".as_bytes();
    let task = encode(&task());
    for (topic, bytes) in [("xact.events.raw", event), ("xact.downloads.pending.retry.5m", &task)] {
        let sent = replay(&of_bytes(bytes, topic)).unwrap();
        assert_eq!((sent.topic.as_str(), sent.value.as_slice()), (topic, bytes));
    }
}

#[test]
fn an_entry_that_would_fail_again_is_refused_with_the_reason() {
    let with_task = |change: &dyn Fn(&mut DownloadTask)| {
        let mut task = task();
        change(&mut task);
        of_task(task)
    };
    let with_letter = |change: &dyn Fn(&mut DeadLetter)| {
        let mut letter = of_bytes(b"\xff", "xact.events.raw").letter().unwrap().clone();
        change(&mut letter);
        letter_entry(letter)
    };
    let many = json!({"trace_id": "t", "type": "x", "attachments": (0..1001).collect::<Vec<_>>()}).to_string();
    let expired = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
    for (entry, reason) in [
        (
            entry(DeadLetterRecord::of_value(Some(b"x".to_vec()))),
            "not a dead letter",
        ),
        (of_bytes(b"\xff\x00{", "xact.events.raw"), "it is not UTF-8 at byte 0"),
        (of_bytes(many.as_bytes(), "xact.events.raw"), "names 1001 attachments"),
        (of_bytes(b"{}", "xact.downloads.cached"), "missing field"),
        (of_bytes(b"[]", "xact.downloads.results"), "rejected again"),
        (
            with_task(&|task| task.attachment_url = "https://other.example/b.pdf".to_owned()),
            "ALLOWED_ATTACHMENT_DOMAINS",
        ),
        (
            with_task(&|task| task.attachment_url = "https://a.example/b.exe".to_owned()),
            "`exe` are not accepted",
        ),
        (with_task(&|task| task.attachment_url = "5".to_owned()), "not a URL"),
        (
            with_task(&|task| task.attachment_url = "data:x".to_owned()),
            "not a URL",
        ),
        (
            with_task(&|task| task.attachment_url = expired.to_owned()),
            "expired at 2024-01-01T00:00:01",
        ),
        (
            with_task(&|task| task.assignment_id = UNKNOWN_ASSIGNMENT.to_owned()),
            "names no assignment",
        ),
        (
            with_task(&|task| task.blob_path = markers::truncate("xx yy", 2)),
            "truncated",
        ),
        (
            of_bytes(&[1; 1_000_000], "xact.events.raw"),
            "the beginning of its 1000000 bytes",
        ),
        (of_bytes(b"x", "xact.downloads.dlq"), "not a topic of the pipeline"),
        (of_bytes(b"x", "somebody.elses"), "not a topic of the pipeline"),
        (
            with_letter(&|letter| letter.original_payload = Some("?".to_owned())),
            "cannot be decoded",
        ),
        (
            with_letter(&|letter| letter.original_payload = None),
            "neither a task nor a message",
        ),
    ] {
        let refusal = replay(&entry).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{refusal}");
    }
}
