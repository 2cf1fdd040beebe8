//! Tests of the messages that replays send.

use serde_json::json;

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
        id: "1:7".parse().unwrap(),
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
    let letter = DeadLetter::of_payload(bytes, None, &problem, "upload", at(topic), now());
    letter_entry(letter)
}

/// An entry at 1:7 of the download stage.
pub(in super::super) fn task_entry() -> Entry {
    of_task(task())
}

fn replay(entry: &Entry) -> Result<Outgoing, String> {
    let settings = Settings::from_environment(&Environment::default()).unwrap();
    let mut rules = ReplayRules::new(&settings, now());
    rules.policy = UrlPolicy::new(["a.example", "claimxperience.com"]);
    message(entry, &rules)
}

#[test]
fn a_task_starts_again_and_records_its_dead_letter() {
    let sent = replay(&task_entry()).unwrap();
    assert_eq!((&*sent.topic, &*sent.key), ("xact.downloads.pending", "t"));
    let replayed = DownloadTask::decode(&sent.value).unwrap();
    // With the whole URL, or it could not be fetched.
    let mut expected = task();
    expected.retry_count = 0;
    let metadata = json!({"expires_at": "2026-01-01T00:00:00Z", "note": "kept", "replayed_from_dlq": true,
        "dlq_partition": 1, "dlq_offset": 7, "replay_count": 1});
    expected.metadata = serde_json::from_value(metadata).unwrap();
    assert_eq!(replayed, expected);
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
    let with_url = |url: &str| with_task(&|task| task.attachment_url = url.to_owned());
    let with_payload = |payload: Option<&str>| {
        let mut letter = of_bytes(b"\xff", "xact.events.raw").letter().unwrap().clone();
        letter.original_payload = payload.map(str::to_owned);
        letter_entry(letter)
    };
    let foreign = entry(DeadLetterRecord::of_value(Some(b"x".to_vec())));
    let unassigned = with_task(&|task| task.assignment_id = UNKNOWN_ASSIGNMENT.to_owned());
    let truncated = with_task(&|task| task.blob_path = markers::truncate("xx yy", 2));
    let cut = of_bytes(&[1; 1_000_000], "xact.events.raw");
    let many = json!({"trace_id": "t", "type": "x", "attachments": (0..1001).collect::<Vec<_>>()}).to_string();
    let expired = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
    for (entry, reason) in [
        (foreign, "not a dead letter"),
        (of_bytes(b"\xff\x00{", "xact.events.raw"), "it is not UTF-8 at byte 0"),
        (of_bytes(many.as_bytes(), "xact.events.raw"), "names 1001 attachments"),
        (of_bytes(b"{}", "xact.downloads.cached"), "missing field"),
        (of_bytes(b"[]", "xact.downloads.results"), "rejected again"),
        (with_url("https://other.example/b.pdf"), "ALLOWED_ATTACHMENT_DOMAINS"),
        (with_url("https://a.example/b.exe"), "`exe` are not accepted"),
        (with_url("5"), "not a URL"),
        (with_url("data:x"), "not a URL"),
        (with_url(expired), "expired at 2024-01-01T00:00:01"),
        (unassigned, "names no assignment"),
        (truncated, "truncated"),
        (cut, "the beginning of its 1000000 bytes"),
        (of_bytes(b"x", "xact.downloads.dlq"), "not a topic of the pipeline"),
        (of_bytes(b"x", "somebody.elses"), "not a topic of the pipeline"),
        (with_payload(Some("?")), "cannot be decoded"),
        (with_payload(None), "neither a task nor a message"),
    ] {
        let refusal = replay(&entry).unwrap_err();
        assert!(refusal.contains(reason), "{refusal}");
    }
}
