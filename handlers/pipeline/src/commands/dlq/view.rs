//! `dlq view`: everything about one entry.

use std::fmt::Write;

use clap::Args;
use jiff::Timestamp;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use crate::ui::text::visible;
use xact_config::Settings;
use xact_contracts::time;
use xact_operations::dead_letters::{self, EntryId, EntryState, EntryView, OriginalContent, ReplayOutcome, Secrets};

/// Arguments of `dlq view`.
#[derive(Debug, Args)]
pub(crate) struct View {
    /// The entry
    #[arg(value_name = "PARTITION:OFFSET")]
    entry: EntryId,
    /// Show signatures and tokens too
    #[arg(long)]
    show_secrets: bool,
    /// Only the original bytes of a message that could not be read, unchanged, secrets included
    #[arg(long, conflicts_with_all = ["json", "show_secrets"])]
    raw: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

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
    let by = entry
        .settled_by
        .as_deref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    let state = match (entry.state, entry.settled_at) {
        (state @ EntryState::Waiting, _) => state.to_string(),
        (state, Some(at)) => format!("{state} at {}{by}", time::format(at)),
        (state, None) => format!("{state} at an unknown time{by}"),
    };
    let source = entry.source.as_ref();
    let source = source.map(|source| format!("{}[{}] offset {}", source.topic, source.partition, source.offset));
    let category = entry.error_category.map(|category| category.as_str().to_owned());
    let error = entry.reason().to_owned();
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
        ("read from", source),
        ("category", category),
        ("error", Some(error)),
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
        let cut = view.original_cut_from.map(|of| format!(", the beginning of {of}"));
        let cut = cut.unwrap_or_default();
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

/// Returns 16 bytes per line: offset, hex, ASCII, in the format of `hexdump -C`.
fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::with_capacity(bytes.len() * 5);
    for (index, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii = line.iter().map(|&byte| match byte {
            0x20..=0x7e => char::from(byte),
            _ => '.',
        });
        let ascii: String = ascii.collect();
        let _ = writeln!(dump, "{:08x}  {:<47}  |{ascii}|", index * 16, hex.join(" "));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_offset_bytes_and_characters() {
        assert_eq!(
            hex_dump(b"\xff\xfe no text 12345"),
            "00000000  ff fe 20 6e 6f 20 74 65 78 74 20 31 32 33 34 35  |.. no text 12345|\n"
        );
        assert!(hex_dump(&[0; 17]).ends_with("00000010  00                                               |.|\n"));
    }
}
