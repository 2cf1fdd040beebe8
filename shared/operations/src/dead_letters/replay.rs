//! What the replay of an entry sends, or why the entry is not replayed.

use std::fmt::Display;

use jiff::Timestamp;
use url::Url;

use super::entry::Entry;
use super::summary::FOREIGN;
use xact_config::Settings;
use xact_contracts::file_rules;
use xact_contracts::markers::{self, UNKNOWN_ASSIGNMENT};
use xact_contracts::messages::{
    CachedDownload, DeadLetter, DeadLetterRecord, DownloadResult, DownloadTask, Event, MAX_ATTACHMENTS, Message,
    SourceRecord, encode, metadata,
};
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::{TopicRole, Topics};
use xact_contracts::url_guard::UrlPolicy;
use xact_contracts::{presigned, time};
use xact_kafka::Outgoing;

/// Why an entry is not replayed: another attempt would end as the last one did.
type Refusal = String;

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
/// When another attempt would end as the last one did. The reason is redacted.
pub(super) fn message(entry: &Entry, rules: &ReplayRules<'_>) -> Result<Outgoing, Refusal> {
    let DeadLetterRecord::Letter(letter) = &entry.content else {
        return Err(FOREIGN.to_owned());
    };
    let found = match &letter.original_task {
        Some(task) => {
            check(task, letter, rules).map(|()| (rules.topics.pending.clone(), encode(&replayed(task.clone(), entry))))
        }
        None => original(letter, rules.topics),
    };
    let (topic, value) = found.map_err(|reason| redact_text(&reason))?;
    // A dead letter has the key of its message.
    let key = entry.key.clone().or_else(|| letter.trace_id.clone());
    Ok(Outgoing {
        topic,
        key: key.unwrap_or_default(),
        value,
        trace: entry.trace(),
    })
}

fn check(task: &DownloadTask, letter: &DeadLetter, rules: &ReplayRules<'_>) -> Result<(), Refusal> {
    let texts = [
        &task.attachment_url,
        &task.trace_id,
        &task.blob_path,
        &task.assignment_id,
    ];
    if texts.iter().any(|text| markers::is_truncated(text)) {
        let source = source_record(&letter.source);
        return Err(format!(
            "truncated to fit the broker's limit: the complete message is at {source}"
        ));
    }
    if !Url::parse(&task.attachment_url).is_ok_and(|url| url.has_host()) {
        return Err("attachment_url is not a URL: the source must send the event again".to_owned());
    }
    let rejected = |reason: &dyn Display| {
        format!("the URL would be rejected again: {reason} (set the variables to the values of the pipeline)")
    };
    let url = rules
        .policy
        .check(&task.attachment_url)
        .map_err(|reason| rejected(&reason))?;
    file_rules::named_type(&url).map_err(|reason| rejected(&reason))?;
    if task.assignment_id == UNKNOWN_ASSIGNMENT {
        let reason = "the event names no assignment, so the file has no path: the source must send the event again";
        return Err(reason.to_owned());
    }
    match presigned::expiry(&url) {
        Some(expiry) if expiry.is_expired(rules.now) => {
            Err(format!("presigned URL expired at {}", time::format(expiry.expires_at)))
        }
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
fn original(letter: &DeadLetter, topics: &Topics) -> Result<(String, Vec<u8>), Refusal> {
    if let Some(bytes) = letter.original_cut_from {
        return Err(format!(
            "only the beginning of its {bytes} bytes was kept: the complete message is at {}, as long as it is retained",
            source_record(&letter.source)
        ));
    }
    let topic = &letter.source.topic;
    let Some(role) = topics.role_of(topic).filter(|role| *role != TopicRole::Dlq) else {
        return Err(format!(
            "the source topic {topic:?} is not a topic of the pipeline (set the topic names to the values of the pipeline)"
        ));
    };
    let bytes = letter.original_bytes();
    let bytes = bytes.map_err(|error| format!("the original message cannot be decoded: {error}"))?;
    let bytes = bytes.ok_or("it contains neither a task nor a message")?;
    check_readable(role, &bytes)
        .map_err(|reason| format!("it would be rejected again: {reason}; the source must send it again"))?;
    Ok((topic.clone(), bytes))
}

/// Checks that the stage that reads this topic can read the message; the version that wrote the dead letter could not.
fn check_readable(role: TopicRole, bytes: &[u8]) -> Result<(), String> {
    let read = match role {
        TopicRole::Raw => match Event::decode(bytes).map(|event| event.attachments.len()) {
            Ok(count) if count > MAX_ATTACHMENTS => {
                return Err(format!(
                    "the event names {count} attachments, at most {MAX_ATTACHMENTS} are accepted"
                ));
            }
            read => read.map(drop),
        },
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
