//! Everything about one entry.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::entry::{Entry, EntryId};
use super::original::{Original, Secrets};
use super::plan::no_entry;
use super::replay::{self, ReplayRules};
use super::summary::EntrySummary;
use super::topic::DeadLetterTopic;
use crate::blocking::blocking;
use crate::error::OperationError;
use xact_config::Settings;
use xact_contracts::messages::encode;
use xact_contracts::redaction::redact_json;

/// An entry with its original message.
#[derive(Debug, Clone, Serialize)]
pub struct EntryView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: EntrySummary,
    /// What a replay would do now.
    pub replay: ReplayOutcome,
    /// The download task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_task: Option<Value>,
    /// Size of the complete message, where only its beginning was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_cut_from: Option<usize>,
    /// Why the original message cannot be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_payload_error: Option<String>,
    /// The message that could not be read, or the value of a foreign record.
    #[serde(flatten)]
    pub original: Option<Original>,
}

/// What a replay would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayOutcome {
    /// The message goes to this topic.
    Topic(String),
    /// It is refused, for this reason.
    Refused(String),
}

/// Returns everything about one entry, as of `now`.
///
/// # Errors
/// When there is no such entry or the topic cannot be read.
pub async fn view(
    settings: &Settings,
    id: EntryId,
    secrets: Secrets,
    now: Timestamp,
) -> Result<EntryView, OperationError> {
    let entry = find(settings, id).await?;
    let letter = entry.letter();
    let task = letter.and_then(|letter| letter.original_task.as_ref());
    let original_task = task.and_then(|task| serde_json::to_value(task).ok()).map(|mut task| {
        if secrets == Secrets::Redact {
            redact_json(&mut task);
        }
        task
    });
    let (original, damage) = match entry.content.original_bytes() {
        Ok(bytes) => (bytes.map(|bytes| Original::new(bytes, secrets)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let replay = match replay::message(&entry, &ReplayRules::new(settings, now)) {
        Ok(message) => ReplayOutcome::Topic(message.topic),
        Err(reason) => ReplayOutcome::Refused(reason),
    };
    Ok(EntryView {
        summary: EntrySummary::of(&entry),
        replay,
        original_task,
        original_cut_from: letter.and_then(|letter| letter.original_cut_from),
        original_payload_error: damage,
        original,
    })
}

/// Returns the original message of an entry, secrets included: byte for byte where it could not be read, else the task.
///
/// # Errors
/// When there is no such entry, it has no original message, or the topic cannot be read.
pub async fn original_message(settings: &Settings, id: EntryId) -> Result<Vec<u8>, OperationError> {
    let entry = find(settings, id).await?;
    let bytes = entry.content.original_bytes();
    if let Some(bytes) = bytes.map_err(|error| format!("the original message cannot be decoded: {error}"))? {
        return Ok(bytes);
    }
    let task = entry.letter().and_then(|letter| letter.original_task.as_ref());
    let value = task.map(encode);
    Ok(value.ok_or_else(|| "this dead letter contains neither a task nor a message".to_owned())?)
}

async fn find(settings: &Settings, id: EntryId) -> Result<Entry, OperationError> {
    let settings = settings.clone();
    blocking(move || {
        let mut found = None;
        DeadLetterTopic::open_at(&settings, &[id])?.visit(|entry| {
            found = Some(entry);
            // Reading starts at this entry: the first one is it, or it does not exist.
            ControlFlow::Break(())
        })?;
        let found = found.filter(|entry| entry.id == id);
        Ok(found.ok_or_else(|| no_entry(id, &settings))?)
    })
    .await
}
