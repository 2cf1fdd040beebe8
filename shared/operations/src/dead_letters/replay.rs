//! What the replay of an entry sends, or why the entry is not replayed.

use jiff::Timestamp;
use url::Url;

use super::entry::Entry;
use xact_config::Settings;
use xact_contracts::file_rules;
use xact_contracts::markers::{self, UNKNOWN_ASSIGNMENT};
use xact_contracts::messages::{
    CachedDownload, DeadLetter, DeadLetterRecord, DownloadResult, DownloadTask, Event, MAX_ATTACHMENTS, Message,
    SourceRecord, encode, metadata,
};
use xact_contracts::presigned;
use xact_contracts::time;
use xact_contracts::topology::{TopicRole, Topics};
use xact_contracts::url_guard::UrlPolicy;
use xact_kafka::{Outgoing, trace_of_headers};

/// Reasons why an entry is not replayed: another attempt would end as the last one did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReplayError {
    /// The record is foreign.
    #[error("not a dead letter (foreign record on this topic)")]
    NotADeadLetter,
    /// The presigned URL has expired.
    #[error("presigned URL expired at {}", time::format(*.0))]
    Expired(Timestamp),
    /// The task has no usable URL.
    #[error("attachment_url is not a URL: the source must send the event again")]
    NoUrl,
    /// The event has no assignment id, which is part of the file's path.
    #[error("the event names no assignment, so the file has no path: the source must send the event again")]
    NoAssignment,
    /// The rules reject the URL.
    #[error("the URL would be rejected again: {0} (set the variables to the values of the pipeline)")]
    UrlRejected(String),
    /// The stage cannot read the message.
    #[error("it would be rejected again: {0}; the source must send it again")]
    Unreadable(String),
    /// The dead letter has only a part of the task.
    #[error("truncated to fit the broker's limit: the complete message is at {0}")]
    TruncatedTask(String),
    /// The dead letter has only a part of the message.
    #[error(
        "only the beginning of its {bytes} bytes was kept: the complete message is at {source_record}, as long as it is retained"
    )]
    TruncatedMessage {
        /// Size of the complete message.
        bytes: usize,
        /// Where it was read.
        source_record: String,
    },
    /// The message was read from a topic that the settings do not name.
    #[error(
        "the source topic {0:?} is not a topic of the pipeline (set the topic names to the values of the pipeline)"
    )]
    UnknownSource(String),
    /// The base64 of the message cannot be decoded.
    #[error("the original message cannot be decoded: {0}")]
    Damaged(String),
    /// The dead letter has neither a task nor a message.
    #[error("it contains neither a task nor a message")]
    Empty,
}

/// What decides whether another attempt could end differently.
pub(super) struct ReplayRules<'a> {
    topics: &'a Topics,
    policy: UrlPolicy,
    now: Timestamp,
}

impl<'a> ReplayRules<'a> {
    pub(super) fn new(settings: &'a Settings, now: Timestamp) -> Self {
        Self {
            topics: &settings.topics,
            policy: settings.url_policy(),
            now,
        }
    }
}

/// Returns the message that a replay of this entry sends.
///
/// The same entry always gives the same message: a repeated replay has the same replay count, so the rows have the same keys.
///
/// # Errors
/// When another attempt would end as the last one did.
pub(super) fn message(entry: &Entry, rules: &ReplayRules<'_>) -> Result<Outgoing, ReplayError> {
    let DeadLetterRecord::Letter(letter) = &entry.content else {
        return Err(ReplayError::NotADeadLetter);
    };
    let (topic, value) = match &letter.original_task {
        Some(task) => {
            check(task, letter, rules)?;
            (rules.topics.pending.clone(), encode(&replayed(task.clone(), entry)))
        }
        None => original(letter, rules.topics)?,
    };
    let header = |name: &str| {
        let (_, value) = entry.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    };
    Ok(Outgoing {
        topic,
        // A dead letter has the key of its message.
        key: entry
            .key
            .clone()
            .or_else(|| letter.trace_id.clone())
            .unwrap_or_default(),
        value,
        trace: trace_of_headers(header),
    })
}

fn check(task: &DownloadTask, letter: &DeadLetter, rules: &ReplayRules<'_>) -> Result<(), ReplayError> {
    let texts = [
        &task.attachment_url,
        &task.trace_id,
        &task.blob_path,
        &task.assignment_id,
    ];
    if texts.iter().any(|text| markers::is_truncated(text)) {
        return Err(ReplayError::TruncatedTask(source_record(&letter.source)));
    }
    if !Url::parse(&task.attachment_url).is_ok_and(|url| url.has_host()) {
        return Err(ReplayError::NoUrl);
    }
    let rejected = |reason: &dyn std::fmt::Display| ReplayError::UrlRejected(reason.to_string());
    let url = rules
        .policy
        .check(&task.attachment_url)
        .map_err(|reason| rejected(&reason))?;
    file_rules::named_type(&url).map_err(|reason| rejected(&reason))?;
    if task.assignment_id == UNKNOWN_ASSIGNMENT {
        return Err(ReplayError::NoAssignment);
    }
    match presigned::expiry(&url) {
        Some(expiry) if expiry.is_expired(rules.now) => Err(ReplayError::Expired(expiry.expires_at)),
        _ => Ok(()),
    }
}

/// Returns the task for another round of attempts.
fn replayed(mut task: DownloadTask, entry: &Entry) -> DownloadTask {
    let replay_count = task.replay_count().saturating_add(1);
    task.retry_count = 0;
    for stale in [metadata::LAST_ERROR, metadata::ERROR_CATEGORY, metadata::RETRY_AT] {
        task.metadata.shift_remove(stale);
    }
    let mut note = |name: &str, value: serde_json::Value| task.metadata.insert(name.to_owned(), value);
    note(metadata::REPLAYED_FROM_DLQ, true.into());
    note(metadata::DLQ_PARTITION, entry.id.partition.into());
    note(metadata::DLQ_OFFSET, entry.id.offset.into());
    note(metadata::REPLAY_COUNT, replay_count.into());
    task
}

/// Returns an unreadable message and the topic that it was read from.
fn original(letter: &DeadLetter, topics: &Topics) -> Result<(String, Vec<u8>), ReplayError> {
    if let Some(bytes) = letter.original_cut_from {
        return Err(ReplayError::TruncatedMessage {
            bytes,
            source_record: source_record(&letter.source),
        });
    }
    let role = topics.role_of(&letter.source.topic);
    let Some(role) = role.filter(|role| *role != TopicRole::Dlq) else {
        return Err(ReplayError::UnknownSource(letter.source.topic.clone()));
    };
    let bytes = letter
        .original_bytes()
        .map_err(|error| ReplayError::Damaged(error.to_string()))?
        .ok_or(ReplayError::Empty)?;
    check_readable(role, &bytes).map_err(ReplayError::Unreadable)?;
    Ok((letter.source.topic.clone(), bytes))
}

/// Checks that the stage that reads this topic can read the message; the version that wrote the dead letter could not.
fn check_readable(role: TopicRole, bytes: &[u8]) -> Result<(), String> {
    let read = match role {
        TopicRole::Raw => {
            let event = Event::decode(bytes).map_err(|error| error.to_string())?;
            let count = event.attachments.len();
            if count > MAX_ATTACHMENTS {
                return Err(format!(
                    "the event names {count} attachments, at most {MAX_ATTACHMENTS} are accepted"
                ));
            }
            return Ok(());
        }
        TopicRole::Pending | TopicRole::Retry => DownloadTask::decode(bytes).map(drop),
        TopicRole::Cached => CachedDownload::decode(bytes).map(drop),
        TopicRole::Results => DownloadResult::decode(bytes).map(drop),
        TopicRole::Dlq => DeadLetter::decode(bytes).map(drop),
    };
    read.map_err(|error| error.to_string())
}

/// Returns `topic[partition] offset n`.
fn source_record(source: &SourceRecord) -> String {
    format!("{}[{}] offset {}", source.topic, source.partition, source.offset)
}

#[cfg(test)]
pub(super) mod tests;
