//! `dlq list`: the entries as a table, or as JSON lines.

use std::cmp::Reverse;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::arguments::Filter;
use super::entries::Entries;
use super::entry::{Content, Entry};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use crate::ui::text::{cell, visible};
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::messages::DownloadTask;
use xact_contracts::redaction::{redact_text, redact_url};
use xact_contracts::time;

/// Prints them. Blocks.
pub(super) fn run(settings: &Settings, filter: &Filter, all: bool, limit: usize, as_json: bool) -> CommandResult {
    let entries = Entries::open(settings, &[])?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let mut newest = Newest::new(limit);
    let (mut waiting, mut settled) = (0_u64, 0_u64);
    entries.visit(|entry| {
        if !filter.takes(&entry) {
            return ControlFlow::Continue(());
        }
        *(if entry.mark.is_some() {
            &mut settled
        } else {
            &mut waiting
        }) += 1;
        if entry.mark.is_some() && !all {
            return ControlFlow::Continue(());
        }
        if as_json {
            written = writeln!(out, "{}", summary(&entry));
        } else {
            newest.push(entry.failed_at(), row(&entry));
        }
        // A reader that has seen enough closes the pipe.
        if written.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if as_json {
        return Ok(written.and_then(|()| out.flush()).map(|()| ExitStatus::Ok)?);
    }
    let mut shown = Table::new(&[
        "entry",
        "state",
        "failed at",
        "stage",
        "category",
        "retries",
        "trace id",
        "media id",
        "error",
    ]);
    let rows = newest.into_rows();
    let count = rows.len() as u64;
    shown.add_rows(rows);
    writeln!(out, "{shown}")?;
    let of_these = if all { waiting + settled } else { waiting };
    if of_these > count {
        writeln!(
            out,
            "the newest {count} of {of_these}: --limit shows more, --json all of them"
        )?;
    }
    let hidden = if all || settled == 0 { "" } else { " (not shown: --all)" };
    writeln!(out, "{waiting} waiting, {settled} resolved or replayed{hidden}")?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

/// The rows that failed last, of any number of them.
struct Newest {
    limit: usize,
    rows: Vec<(Option<Timestamp>, [String; 9])>,
}

impl Newest {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            rows: Vec::new(),
        }
    }

    fn push(&mut self, at: Option<Timestamp>, row: [String; 9]) {
        self.rows.push((at, row));
        if self.rows.len() >= self.limit.saturating_mul(2).max(1000) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.rows.sort_by_key(|(at, _)| Reverse(*at));
        self.rows.truncate(self.limit);
    }

    fn into_rows(mut self) -> Vec<[String; 9]> {
        self.trim();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

fn row(entry: &Entry) -> [String; 9] {
    let letter = entry.letter();
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), cell);
    [
        entry.place.to_string(),
        entry.state().to_owned(),
        entry
            .failed_at()
            .map_or_else(|| "-".to_owned(), |at| format!("{at:.0}")),
        text(letter.map(|letter| letter.stage.as_str())),
        text(entry.category().map(Category::as_str)),
        letter.map_or_else(|| "-".to_owned(), |letter| letter.retry_count.to_string()),
        text(entry.trace_id()),
        entry.media_id().map_or_else(|| "-".to_owned(), |id| id.to_string()),
        match &entry.content {
            Content::Letter(letter) => cell(&letter.final_error),
            Content::Foreign(bytes) => format!("no dead letter: {} bytes that somebody wrote here", bytes.len()),
        },
    ]
}

/// What a program is told of an entry. No original message is in it, and no secret.
pub(super) fn summary(entry: &Entry) -> Value {
    let letter = entry.letter();
    let text = |text: &str| redact_text(text);
    json!({
        "partition": entry.place.partition,
        "offset": entry.place.offset,
        "state": entry.state(),
        "settled_at": entry.mark.and_then(|mark| mark.at).map(time::format),
        "holds": match letter {
            None => "no dead letter",
            Some(letter) if letter.original_task.is_some() => "task",
            Some(_) => "unreadable message",
        },
        "trace_id": entry.trace_id().map(text),
        "media_id": entry.media_id(),
        "attachment_url": letter.and_then(|letter| letter.attachment_url.as_deref()).map(redact_url),
        "stage": letter.map(|letter| text(&letter.stage)),
        "source": letter.map(|letter| json!({
            "topic": text(&letter.source.topic),
            "partition": letter.source.partition,
            "offset": letter.source.offset,
            "timestamp": letter.source.timestamp.map(time::format),
        })),
        "error_category": entry.category(),
        "final_error": letter.map(|letter| text(&letter.final_error)),
        "retry_count": letter.map(|letter| letter.retry_count),
        "replay_count": letter.and_then(|letter| letter.original_task.as_ref()).map(DownloadTask::replay_count),
        "failed_at": entry.failed_at().map(time::format),
        "key": entry.key.as_deref().map(|key| text(&visible(key))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_number_the_newest_are_kept() {
        let mut newest = Newest::new(3);
        for second in (0..5000).rev().chain([9999]) {
            let row = std::array::from_fn(|_| second.to_string());
            newest.push(Timestamp::from_second(second).ok(), row);
        }
        let rows: Vec<String> = newest.into_rows().into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(rows, ["9999", "4999", "4998"]);
    }
}
