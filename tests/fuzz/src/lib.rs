//! Assertions that several targets share.

use std::fmt::Debug;

use jiff::Timestamp;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use url::Url;

use xact_contracts::category::Category;
use xact_contracts::messages::{
    DeadLetter, DecodeError, DownloadResult, DownloadTask, Message, Problem, SourceRecord, encode,
};
use xact_contracts::redaction::MAX_ERROR_CHARS;
use xact_contracts::url_guard::UrlPolicy;

/// Stands for a signature, a key or a password; no input holds it by accident.
pub const SECRET: &str = "PLANTEDSECRET";

/// Whatever bytes there are: an error that fits a dead letter, or a message that is the same once written and read again,
/// whose task, result and dead letter the next stages can read.
pub fn decoder<M: Message + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    match M::decode(bytes) {
        Ok(message) => {
            let written = round_trip(&message);
            // Numbers, times and control characters may be written longer than they were read.
            let (after, before) = (written.len(), bytes.len());
            assert!(after <= 8 * before + 1000, "{after} of {before}");
            if let Some(task) = message.task() {
                descendants(&task);
            }
        }
        Err(error) => refusal(&error, bytes),
    }
}

/// A message that cannot be read goes to the dead letters, whole, with the reason.
pub fn refusal(error: &DecodeError, bytes: &[u8]) {
    let text = error.to_string();
    assert!(text.chars().count() <= MAX_ERROR_CHARS + 30, "{text}");
    of_unreadable(bytes, &Problem::new(Category::Permanent, text));
}

/// The dead letter of a message that cannot be read: it holds all of it. Returns how it was written.
pub fn of_unreadable(bytes: &[u8], problem: &Problem) -> Vec<u8> {
    let letter = DeadLetter::of_payload(bytes, None, problem, "download", source(), Timestamp::UNIX_EPOCH);
    assert_eq!(letter.original_bytes().unwrap().unwrap(), bytes);
    round_trip(&letter)
}

/// Writes a message, reads it, and returns how it was written.
pub fn round_trip<M: Message + Serialize + PartialEq + Debug>(message: &M) -> Vec<u8> {
    let written = encode(message);
    match M::decode(&written) {
        Ok(read) => {
            assert_eq!(&read, message);
            assert_eq!(encode(&read), written);
        }
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&written)),
    }
    written
}

/// What the stages make of a task can be read, and holds no more of the URL than it may.
pub fn descendants(task: &DownloadTask) {
    round_trip(task);
    let problem = Problem::new(Category::Permanent, "refused");
    let letter = DeadLetter::of_task(task.clone(), &problem, "download", source(), Timestamp::UNIX_EPOCH);
    let read = DeadLetter::decode(&encode(&letter)).unwrap();
    assert_eq!(read.original_task.as_ref(), Some(task));
    let result = DownloadResult::failed_permanently(task, &problem, Timestamp::UNIX_EPOCH);
    let read = DownloadResult::decode(&encode(&result)).unwrap();
    assert_eq!(read.media_id, task.media_id);
    assert!(!read.attachment_url.contains('?'), "{}", read.attachment_url);
}

/// Some place in a topic.
fn source() -> SourceRecord {
    SourceRecord {
        topic: "xact.events.raw".to_owned(),
        partition: 1,
        offset: 7,
        timestamp: None,
    }
}

/// What every URL that was let in must be, however it came.
pub fn harmless(url: &Url, policy: &UrlPolicy) {
    let host = url.host_str().unwrap();
    let is_dev_mode = policy.check("http://localhost/").is_ok();
    let is_loopback = is_dev_mode && host == "localhost";
    let is_allowed = is_loopback || policy.allowed_hosts().any(|allowed| allowed == host);
    let is_secure = url.scheme() == "https" || is_loopback && url.scheme() == "http";
    assert!(is_allowed && is_secure, "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    assert!(url.fragment().is_none(), "{url}");
    assert_eq!(policy.check(url.as_str()).as_ref(), Ok(url));
}

/// What names are one to a file system that knows neither case nor compatibility forms.
#[must_use]
pub fn folded(name: &str) -> String {
    let upper: String = name.nfkc().flat_map(char::to_uppercase).collect();
    upper.chars().flat_map(char::to_lowercase).nfkc().collect()
}

/// Two texts out of one input, so that the fuzzer may mix them as it likes.
#[must_use]
pub fn halves(text: &str) -> (&str, &str) {
    text.split_once('\u{1}').unwrap_or((text, ""))
}
