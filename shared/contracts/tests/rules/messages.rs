//! Any bytes on a topic give an error that can be stored, or a message that stays the same when it is encoded and decoded
//! again, and whose task, result and dead letter the next stages can decode.

use std::fmt::Debug;

use jiff::Timestamp;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use xact_contracts::category::Category;
use xact_contracts::ids::media_id;
use xact_contracts::messages::{
    CachedDownload, DeadLetter, DecodeError, DownloadResult, DownloadTask, Event, MAX_VALUES, Message, Problem,
    SourceRecord, encode,
};
use xact_contracts::redaction::{MAX_ERROR_CHARS, redact_url};

const SECRET: &str = "S3CRET";

fn flat_event() -> Value {
    json!({"trace_id": "test-001", "event_type": "documentsReceived", "event_subtype": "xact",
        "timestamp": "2024-12-31T12:00:00Z", "source_system": "test", "payload": {"assignmentId": "A123"},
        "attachments": ["https://claimxperience.com/test.pdf?sig=S3CRET"], "metadata": {}})
}

fn dotted_event() -> Value {
    json!({"type": "verisk.claims.property.xn.estimatePackageReceived", "version": 3, "traceId": 7,
        "utcDateTime": "2024-12-31 12:00:00", "eventId": "e",
        "data": "{\"assignment_id\":\"A1\",\"estimateVersion\":2,\"attachments\":[\"https://a/b.pdf\",5]}"})
}

fn task() -> Value {
    json!({"trace_id": "test-001", "media_id": "13bb61f0-41d1-548c-97c8-ebdee367da68",
        "attachment_url": "https://claimxperience.com/test.pdf?sig=S3CRET", "blob_path": "documentsReceived/A123/test-001/A123_test.pdf",
        "status_subtype": "documentsReceived", "file_type": "PDF", "assignment_id": "A123", "estimate_version": "2",
        "retry_count": 1, "event_type": "xact", "event_subtype": "xact", "original_timestamp": "2024-12-31T12:00:00Z",
        "metadata": {"retry_at": "2025-01-01T00:00:00Z", "replay_count": 1}})
}

/// A task with more fields.
fn task_with(mut more: Value) -> Value {
    let mut message = task();
    message.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    message
}

fn cached() -> Value {
    task_with(
        json!({"destination_path": task()["blob_path"], "blob_path": null, "bytes_downloaded": 5, "sha256": "00ff",
        "local_cache_path": "13/13bb61f0-41d1-548c-97c8-ebdee367da68/file", "content_type": "application/pdf",
        "downloaded_at": 1_735_646_400}),
    )
}

fn result() -> Value {
    task_with(
        json!({"status": "failed_permanent", "http_status": 503, "error_category": "transient",
        "error_message": "503", "created_at": "2024-12-31T12:00:01Z", "expires_at": "2025-01-01T00:00:00Z"}),
    )
}

fn letter() -> Value {
    json!({"trace_id": "test-001", "media_id": "13bb61f0-41d1-548c-97c8-ebdee367da68", "stage": "download",
        "source": {"topic": "xact.downloads.pending", "partition": 1, "offset": 7, "timestamp": null},
        "error_category": "permanent", "final_error": "refused", "failed_at": "2024-12-31T12:00:01Z",
        "original_task": task()})
}

fn source() -> SourceRecord {
    SourceRecord {
        topic: "xact.events.raw".to_owned(),
        partition: 1,
        offset: 7,
        timestamp: None,
    }
}

/// A dead letter as it is read again.
fn of_unreadable(bytes: &[u8], reason: &str) -> DeadLetter {
    let problem = Problem::new(Category::Permanent, reason);
    let letter = DeadLetter::of_payload(bytes, None, &problem, "download", source(), Timestamp::UNIX_EPOCH);
    let read = DeadLetter::decode(&encode(&letter)).unwrap();
    assert_eq!(read, letter, "{reason:?}");
    read
}

fn read_by_every_decoder(bytes: &[u8]) {
    match Event::decode(bytes) {
        Ok(event) => assert_eq!(Event::decode(event.raw.as_bytes()), Ok(event.clone())),
        Err(error) => can_be_written_down(&error, bytes),
    }
    read::<DownloadTask>(bytes);
    read::<CachedDownload>(bytes);
    read::<DownloadResult>(bytes);
    read::<DeadLetter>(bytes);
}

fn read<M: Message + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    match M::decode(bytes) {
        Ok(message) => {
            let written = encode(&message);
            let (after, before) = (written.len(), bytes.len());
            assert!(after <= 8 * before + 1000, "{after} of {before}");
            assert_eq!(M::decode(&written).as_ref(), Ok(&message));
            if let Some(task) = message.task() {
                descendants_are_read(&task);
            }
        }
        Err(error) => can_be_written_down(&error, bytes),
    }
}

fn can_be_written_down(error: &DecodeError, bytes: &[u8]) {
    let text = error.to_string();
    assert!(text.chars().count() <= MAX_ERROR_CHARS + 30, "{text}");
    assert!(!text.contains(SECRET), "{text}");
    let read = of_unreadable(bytes, &text);
    let kept = read.original_bytes().unwrap().unwrap();
    assert!(bytes.starts_with(&kept) && (kept.len() == bytes.len()) == read.original_cut_from.is_none());
}

/// What a stage sends on when it gives a task up.
fn descendants_are_read(task: &DownloadTask) {
    let problem = Problem::new(Category::Permanent, "refused");
    let letter = DeadLetter::of_task(task.clone(), &problem, "download", source(), Timestamp::UNIX_EPOCH);
    let letter = DeadLetter::decode(&encode(&letter)).unwrap();
    assert_eq!(letter.original_task.as_ref(), Some(task));
    let result = DownloadResult::failed_permanently(task, &problem, Timestamp::UNIX_EPOCH);
    let result = DownloadResult::decode(&encode(&result)).unwrap();
    assert_eq!(result.media_id, task.media_id);
}

#[test]
fn deep_nesting_is_refused_without_stack_overflow() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")] {
        let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        read_by_every_decoder(nested(100_000).as_bytes());
        for inner in [nested(40), nested(126), nested(128), open.repeat(2000)] {
            read_by_every_decoder(inner.as_bytes());
            for (message, name) in [
                (flat_event(), "payload"),
                (dotted_event(), "data"),
                (flat_event(), "attachments"),
                (flat_event(), "unknown"),
                (task(), "metadata"),
                (task(), "unknown"),
                (cached(), "metadata"),
                (result(), "error_message"),
                (letter(), "original_task"),
                (letter(), "source"),
            ] {
                let rest = message.to_string().split_off(1);
                read_by_every_decoder(format!("{{\"{name}\":{inner},{rest}").as_bytes());
                let mut replaced = message;
                replaced[name] = "PLACE".into();
                read_by_every_decoder(replaced.to_string().replace("\"PLACE\"", &inner).as_bytes());
            }
        }
        let within_text = json!({"trace_id": "t", "type": "x", "data": format!("{{\"a\":{}}}", nested(2000))});
        read_by_every_decoder(within_text.to_string().as_bytes());
    }
}

/// A dead letter holds its task one level deeper than the task's own message did.
#[test]
fn a_task_nested_too_deep_for_its_dead_letter_is_refused_at_once() {
    let with_metadata = |depth: usize| {
        let mut task = task();
        task["metadata"] = (1..depth).fold(json!({}), |inner, _| json!({"a": inner}));
        DownloadTask::decode(task.to_string().as_bytes())
    };
    descendants_are_read(&with_metadata(64).unwrap());
    for depth in [65, 120, 126, 127] {
        let error = with_metadata(depth).unwrap_err().to_string();
        assert!(error.contains("64 levels") || error.contains("recursion"), "{error}");
    }
}

#[test]
fn too_many_values_are_refused_in_every_position() {
    let event = |values: &str| format!(r#"{{"trace_id":"t","type":"x","data":{{"a":[{values}0]}}}}"#);
    let within_text = format!("{{\"a\":[{}0]}}", "0,".repeat(MAX_VALUES));
    let within_text = json!({"trace_id": "t", "type": "x", "data": within_text}).to_string();
    let pieces = ["0,", "[],", "[0],", "{\"\":0},", "{},"];
    for text in pieces
        .map(|piece| event(&piece.repeat(MAX_VALUES)))
        .into_iter()
        .chain([within_text])
    {
        let error = Event::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than 50000 values"), "{error}");
    }

    assert!(Event::decode(event(&"0,".repeat(MAX_VALUES - 20)).as_bytes()).is_ok());
    let text = json!({"trace_id": "t", "type": "x", "data": {"note": "a, \"b\": [c], ".repeat(MAX_VALUES)}});
    assert!(Event::from_value(&text).is_ok(), "a long text is one value");
}

/// As a float two such ids would be one. An event keeps its digits; our own messages have strings.
#[test]
fn a_number_beyond_64_bits_keeps_its_digits_or_is_refused() {
    let inexact = [
        "18446744073709551616",
        "-9223372036854775809",
        "1e20",
        "9007199254740992.0",
    ];
    for number in inexact.into_iter().chain(["4711.0", "-1"]) {
        for text in [
            format!(r#"{{"trace_id":{number},"event_type":"x"}}"#),
            format!(r#"{{"traceId":{number},"type":"x"}}"#),
        ] {
            assert_eq!(Event::decode(text.as_bytes()).unwrap().trace_id, number);
        }
        let text = format!(r#"{{"trace_id":"t","type":"x","data":{{"assignmentId":{number}}}}}"#);
        let event = Event::decode(text.as_bytes()).unwrap();
        assert_eq!(event.assignment_id.as_deref(), Some(number));
    }
    for number in inexact {
        let text = task().to_string().replace("\"A123\"", number);
        let error = DownloadTask::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("must be a string"), "{error}");
    }
}

#[test]
fn messages_are_decoded_behind_a_byte_order_mark_and_with_names_in_any_case() {
    let task = task();
    let pascal = task
        .to_string()
        .replace("\"trace_id\"", "\"TraceId\"")
        .replace("\"media_id\"", "\"mediaId\"");
    let expected = DownloadTask::decode(task.to_string().as_bytes()).unwrap();
    for text in [format!("\u{FEFF}{task}"), pascal] {
        assert_eq!(DownloadTask::decode(text.as_bytes()), Ok(expected.clone()), "{text}");
    }
}

/// The ingester sends a result for an attachment that it refuses: blank, no stage could read it.
#[test]
fn a_url_that_is_redacted_entirely_still_has_a_decodable_result() {
    for url in "? ?sig=S3CRET # #a?b @ user:S3CRET@ https://?a"
        .split(' ')
        .chain([" ?x"])
    {
        assert!(!redact_url(url).trim().is_empty(), "{url}");
        let mut task = DownloadTask::decode(task().to_string().as_bytes()).unwrap();
        task.attachment_url = url.trim().to_owned();
        task.media_id = media_id("test-001", url);
        descendants_are_read(&task);
    }
}

#[test]
fn a_dead_letter_whose_reason_is_blank_can_be_read() {
    for reason in ["", " ", "\u{a0}\n", "\0"] {
        of_unreadable(b"x", reason);
    }
}

/// The value is redacted before it is truncated: without the `@` behind it, a user's password is not recognised.
#[test]
fn an_unreadable_timestamp_is_quoted_without_its_secrets() {
    let mut task = task();
    task["original_timestamp"] = format!("{}https://user:S3CRET{}@h/", "x ".repeat(200), "x".repeat(100)).into();
    let error = DownloadTask::decode(task.to_string().as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.contains("not a timestamp") && !error.contains(SECRET), "{error}");
}

/// One JSON value as text: what a parser of ours would write, and what only others do.
fn value_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![
            "null", "true", "0", "-0", "-0.0", "1.5", "1e308", "1e400", "-1E+2", "01", "NaN", "4294967296",
            "18446744073709551616", "-9223372036854775809", "0.1234567890123456789", "1735646400000",
            "\"\"", "\" \"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude00\"", "\"\u{202e}a\"",
            "\"2024-12-31T12:00:00+14:00\"", "\"9999-12-31T23:59:59.999999999Z\"", "\"0000-01-01T00:00:00Z\"",
            "\"13bb61f0-41d1-548c-97c8-ebdee367da68\"", "\"?sig=S3CRET\"", "\"@\"", "\"completed\"", "\"unknown\"",
            "\"https://u:S3CRET@h.example/a?sig=S3CRET\"", "\"{\\\"attachments\\\":[\\\"?x\\\"]}\"", "[]", "{}",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>().prop_map(|text| json!(text).to_string()),
        1 => any::<f64>().prop_map(|number| json!(number).to_string()),
        1 => (1_usize..20_000).prop_map(|length| json!("ü".repeat(length)).to_string()),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((field_name(), inner), 0..5).prop_map(|fields| object_text(&fields)),
        ]
    })
}

/// A name that some message has, or any other.
fn field_name() -> impl Strategy<Value = String> {
    let messages = [flat_event(), dotted_event(), task(), cached(), result(), letter()];
    let known: Vec<String> = messages
        .iter()
        .flat_map(|message| message.as_object().unwrap().keys().cloned())
        .chain(["assignmentId", "original_payload", "original_encoding"].map(str::to_owned))
        .collect();
    prop_oneof![5 => prop::sample::select(known), 1 => any::<String>()]
}

/// Fields in their order, repeated ones included.
fn object_text(fields: &[(String, String)]) -> String {
    let member = |(name, value): &(String, String)| format!("{}:{value}", json!(name));
    format!("{{{}}}", fields.iter().map(member).collect::<Vec<_>>().join(","))
}

/// A valid message with some of its fields replaced, removed, repeated or renamed, and perhaps a few bytes changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let message = prop::sample::select(vec![flat_event(), dotted_event(), task(), cached(), result(), letter()]);
    let change = (0_usize..6, any::<prop::sample::Index>(), field_name(), value_text());
    let damage = (any::<prop::sample::Index>(), any::<u8>());
    (
        message,
        prop::collection::vec(change, 0..4),
        prop::collection::vec(damage, 0..3),
    )
        .prop_map(|(message, changes, damages)| {
            let fields = message.as_object().unwrap().iter();
            let mut fields: Vec<_> = fields.map(|(name, value)| (name.clone(), value.to_string())).collect();
            for (kind, at, name, value) in changes {
                let at = at.index(fields.len());
                match kind {
                    0 => drop(fields.remove(at)),
                    1 => fields.insert(at, (name, value)),
                    2 => fields[at].0 = name,
                    _ => fields[at].1 = value,
                }
            }
            let mut bytes = object_text(&fields).into_bytes();
            for (at, byte) in damages {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_by_every_decoder(&bytes);
    }

    #[test]
    fn any_json_is_read_or_refused(text in value_text()) {
        read_by_every_decoder(text.as_bytes());
    }

    #[test]
    fn mutated_messages_are_read_or_refused(bytes in mutated()) {
        read_by_every_decoder(&bytes);
    }
}
