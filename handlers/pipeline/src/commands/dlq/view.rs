//! `dlq view`: everything about one entry.

use std::io::Write;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde_json::Value;

use super::entries::Entries;
use super::entry::{Content, Entry, Place};
use super::list::summary;
use super::replay_plan::{self, Rules};
use crate::commands::printable::{Readable, hex_dump};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::visible;
use xact_config::Settings;
use xact_contracts::messages::encode;
use xact_contracts::redaction::{redact_json, redact_text};
use xact_contracts::time;

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// The original bytes alone.
    Raw,
}

/// Prints the entry. Blocks.
pub(super) fn run(settings: &Settings, place: Place, form: Form, show_secrets: bool) -> CommandResult {
    let entry = find(settings, place)?;
    let mut out = std::io::stdout().lock();
    match form {
        Form::Raw => out.write_all(&raw(&entry)?)?,
        Form::Json => writeln!(out, "{}", as_json(&entry, show_secrets))?,
        Form::Text => out.write_all(as_text(&entry, settings, show_secrets).as_bytes())?,
    }
    out.flush()?;
    Ok(ExitStatus::Ok)
}

fn find(settings: &Settings, place: Place) -> Result<Entry, Box<dyn std::error::Error + Send + Sync>> {
    let mut found = None;
    Entries::open(settings, &[place])?.visit(|entry| {
        if entry.place == place {
            found = Some(entry);
        }
        // It is the first that is read, or it is not there.
        ControlFlow::Break(())
    })?;
    found.ok_or_else(|| no_entry(settings, place).into())
}

/// What to say of a place without an entry.
pub(super) fn no_entry(settings: &Settings, place: Place) -> String {
    format!(
        "there is no dead letter at {place} in {}: never written, no longer retained, or a mark of another entry. `dlq list --all` shows what is there",
        settings.topics.dlq
    )
}

/// The original message: what could not be read as it came, a task as it stands in the letter.
fn raw(entry: &Entry) -> Result<Vec<u8>, String> {
    if let Some(bytes) = entry.original_bytes()? {
        return Ok(bytes);
    }
    let task = entry.letter().and_then(|letter| letter.original_task.as_ref());
    task.map(encode)
        .ok_or_else(|| "this dead letter holds neither a task nor a message".to_owned())
}

fn as_json(entry: &Entry, show_secrets: bool) -> Value {
    let mut object = summary(entry);
    let mut add = |name: &str, value: Value| object[name] = value;
    if let Some(task) = task_of(entry, show_secrets) {
        add("original_task", task);
    }
    let letter = entry.letter();
    if let Some(bytes) = letter.and_then(|letter| letter.original_cut_from) {
        add("original_cut_from", bytes.into());
    }
    match entry.original_bytes() {
        Ok(None) => {}
        Err(error) => add("original_payload_error", error.into()),
        Ok(Some(bytes)) => {
            add("original_bytes", bytes.len().into());
            match Readable::of(bytes, show_secrets) {
                Readable::Text(text) => add("original_payload", text.into()),
                Readable::Redacted(text) => {
                    add("original_payload", text.into());
                    add(
                        "original_encoding",
                        "redacted: not the original bytes, see --raw".into(),
                    );
                }
                Readable::Binary(bytes) => {
                    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    add("original_payload", hex.into());
                    add("original_encoding", "hex".into());
                }
            }
        }
    }
    object
}

fn task_of(entry: &Entry, show_secrets: bool) -> Option<Value> {
    let task = entry.letter()?.original_task.as_ref()?;
    let mut task = serde_json::to_value(task).ok()?;
    if !show_secrets {
        redact_json(&mut task);
    }
    Some(task)
}

fn as_text(entry: &Entry, settings: &Settings, show_secrets: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<16}{value}\n"));
    let clean = |value: &str| visible(&redact_text(value)).replace('\n', " ");
    line("entry", &format!("{} of {}", entry.place, settings.topics.dlq));
    let state = match entry.mark {
        None => "waiting".to_owned(),
        Some(mark) => {
            let at = mark.at.map_or_else(|| "an unknown time".to_owned(), time::format);
            format!("{} at {at}", mark.action.as_str())
        }
    };
    line("state", &state);
    for (name, value) in [
        ("trace id", entry.trace_id().map(clean)),
        ("media id", entry.media_id().map(|id| id.to_string())),
        ("failed at", entry.failed_at().map(time::format)),
    ] {
        if let Some(value) = value {
            line(name, &value);
        }
    }
    if let Content::Letter(letter) = &entry.content {
        line("stage", &clean(&letter.stage));
        line("read from", &clean(&replay_plan::source(letter)));
        line("category", letter.error_category.as_str());
        line("error", &clean(&letter.final_error));
        line("retries", &letter.retry_count.to_string());
        if let Some(task) = &letter.original_task {
            line("replays", &task.replay_count().to_string());
        }
    } else {
        line("error", "this record is no dead letter: somebody else wrote it here");
    }
    let replay = match replay_plan::plan(entry, &Rules::new(settings, Timestamp::now())) {
        Ok(outgoing) => format!("goes to {}", outgoing.topic),
        Err(refusal) => format!("refused: {}", clean(&refusal.to_string())),
    };
    line("a replay", &replay);
    if let Some(task) = task_of(entry, show_secrets) {
        let pretty = serde_json::to_string_pretty(&task).unwrap_or_default();
        text.push_str(&format!("\nthe task:\n{}\n", visible(&pretty)));
    }
    match entry.original_bytes() {
        Ok(None) => {}
        Err(error) => text.push_str(&format!("\nthe original message cannot be shown: {error}\n")),
        Ok(Some(bytes)) => {
            let cut = entry.letter().and_then(|letter| letter.original_cut_from);
            let cut = cut.map_or_else(String::new, |of| format!(", the beginning of {of}"));
            text.push_str(&format!("\nthe original message ({} bytes{cut}):\n", bytes.len()));
            match Readable::of(bytes, show_secrets) {
                Readable::Text(original) => text.push_str(&format!("{}\n", visible(&original))),
                Readable::Binary(bytes) => text.push_str(&hex_dump(&bytes)),
                Readable::Redacted(original) => text.push_str(&format!(
                    "{}\n(no text, and it holds secrets: --show-secrets dumps it, --raw writes its bytes)\n",
                    visible(&original)
                )),
            }
        }
    }
    text
}
