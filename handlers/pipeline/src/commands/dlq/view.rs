//! `dlq view`: everything about one entry.

use std::fmt::Write;

use jiff::Timestamp;

use super::arguments::View;
use super::hex_dump::hex_dump;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use crate::ui::text::visible;
use xact_config::Settings;
use xact_contracts::time;
use xact_operations::dead_letters::{self, EntryState, EntryView, OriginalContent, ReplayOutcome, Secrets};

/// The error of a record that has none, because its value is not a dead letter.
pub(super) const FOREIGN: &str = "not a dead letter (foreign record on this topic)";

/// Prints the entry.
pub(super) async fn run(settings: &Settings, arguments: View) -> CommandResult {
    if arguments.raw {
        ui::bytes(&dead_letters::original_message(settings, arguments.entry).await?)?;
        return Ok(ExitStatus::Ok);
    }
    let secrets = if arguments.show_secrets {
        Secrets::Show
    } else {
        Secrets::Redact
    };
    let view = dead_letters::view(settings, arguments.entry, secrets, Timestamp::now()).await?;
    if arguments.json {
        ui::json_line(&view)?;
    } else {
        ui::verbatim(as_text(&view, &settings.topics.dlq));
    }
    Ok(ExitStatus::Ok)
}

fn as_text(view: &EntryView, topic: &str) -> String {
    let entry = &view.summary;
    let state = match (entry.state, entry.settled_at) {
        (EntryState::Waiting, _) => entry.state.as_str().to_owned(),
        (state, Some(at)) => format!("{} at {}", state.as_str(), time::format(at)),
        (state, None) => format!("{} at an unknown time", state.as_str()),
    };
    let source = entry.source.as_ref();
    let replay = match &view.replay {
        ReplayOutcome::Topic(topic) => format!("goes to {topic}"),
        ReplayOutcome::Refused(reason) => format!("refused: {reason}"),
    };
    let fields = [
        ("entry", Some(format!("{} of {topic}", entry.id))),
        ("state", Some(state)),
        ("trace id", entry.trace_id.clone()),
        ("media id", entry.media_id.map(|id| id.to_string())),
        ("failed at", entry.failed_at.map(time::format)),
        ("stage", entry.stage.clone()),
        (
            "read from",
            source.map(|source| format!("{}[{}] offset {}", source.topic, source.partition, source.offset)),
        ),
        (
            "category",
            entry.error_category.map(|category| category.as_str().to_owned()),
        ),
        (
            "error",
            Some(entry.final_error.clone().unwrap_or_else(|| FOREIGN.to_owned())),
        ),
        ("retries", entry.retry_count.map(|count| count.to_string())),
        ("replays", entry.replay_count.map(|count| count.to_string())),
        ("a replay", Some(replay)),
    ];
    let mut text = String::new();
    for (name, value) in fields {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<16}{}", visible(&value).replace('\n', " "));
        }
    }
    if let Some(task) = &view.original_task {
        let pretty = serde_json::to_string_pretty(task).unwrap_or_default();
        let _ = writeln!(text, "\nthe task:\n{}", visible(&pretty));
    }
    if let Some(error) = &view.original_payload_error {
        let _ = writeln!(text, "\nthe original message cannot be decoded: {error}");
    }
    if let Some(original) = &view.original {
        let cut = view
            .original_cut_from
            .map_or_else(String::new, |of| format!(", the beginning of {of}"));
        let _ = writeln!(text, "\nthe original message ({} bytes{cut}):", original.size);
        text.push_str(&content(&original.content));
    }
    text
}

fn content(content: &OriginalContent) -> String {
    match content {
        OriginalContent::Text(text) => format!("{}\n", visible(text)),
        OriginalContent::Binary(bytes) => hex_dump(bytes),
        OriginalContent::Redacted(text) => format!(
            "{}\n(not text, and it contains secrets: --show-secrets prints a hex dump, --raw the bytes)\n",
            visible(text)
        ),
    }
}
