//! Where an attachment is, and what happens next. Pure.

use jiff::ToSpan;
use jiff::civil::Date;

use super::life::{AttachmentState, Next};
use super::record::{Content, FoundRecord, Positions};
use super::row::{AttachmentRowFound, FailedRowFound};
use super::steps::reader;
use crate::dead_letters::{EntryState, FoundEntry, ReplayOutcome};
use xact_contracts::messages::{DownloadTask, SourceRecord, Status};
use xact_contracts::time;
use xact_contracts::topology::Stage;

/// What is known of one attachment.
pub(super) struct Known<'a> {
    /// Its records.
    pub(super) records: Vec<&'a FoundRecord>,
    /// Records of the raw topic that name it.
    pub(super) events: Vec<&'a SourceRecord>,
    pub(super) completed: Vec<&'a AttachmentRowFound>,
    pub(super) failed: Vec<&'a FailedRowFound>,
    /// Whether a waiting dead letter holds the event as a whole.
    pub(super) dead_event: Option<&'a FoundEntry>,
}

/// What is the same for all attachments of an event.
pub(super) struct Around<'a> {
    pub(super) positions: Option<&'a Positions>,
    /// Whether all topics were read, as far as they may hold records of the event.
    pub(super) has_all_records: bool,
    /// Whether both tables were read.
    pub(super) has_all_rows: bool,
    pub(super) delta_writes: bool,
    pub(super) max_retries: u32,
    pub(super) date: Option<Date>,
    pub(super) now: jiff::Timestamp,
}

/// Returns where an attachment is, and what happens next.
pub(super) fn decide(known: &Known<'_>, around: &Around<'_>) -> (AttachmentState, Next) {
    if !known.completed.is_empty() {
        return (AttachmentState::Completed, Next::new("completed"));
    }
    if let Some(next) = in_progress(known, around) {
        return (AttachmentState::InProgress, next);
    }
    let results = || {
        known.records.iter().filter_map(|record| match &record.content {
            Content::Result(result) => Some(result.status),
            _ => None,
        })
    };
    let is_uploaded = results().any(|status| status == Status::Completed);
    if is_uploaded && !around.delta_writes {
        let text = "completed; ENABLE_DELTA_WRITES=false, so no row is written";
        return (AttachmentState::Completed, Next::new(text));
    }
    if is_uploaded && !around.has_all_rows {
        let text =
            "the file is uploaded; whether its row is written is not known, because the tables could not be read";
        return (AttachmentState::Completed, Next::new(text));
    }
    let letters = || known.records.iter().filter_map(|record| entry(record));
    let waiting = letters().filter(|entry| entry.summary.state == EntryState::Waiting);
    if let Some(entry) = waiting.max_by_key(|entry| entry.summary.failed_at) {
        return (AttachmentState::DeadLetter, settle(entry));
    }
    let has_failed = !known.failed.is_empty() || results().any(|status| status == Status::FailedPermanent);
    if has_failed && !is_uploaded {
        return (AttachmentState::Failed, after_failure(letters().next_back(), around));
    }
    if let Some(entry) = known.dead_event {
        return (AttachmentState::DeadLetter, settle(entry));
    }
    if let Some(next) = not_expanded(known, around) {
        return (AttachmentState::InProgress, next);
    }
    if letters().any(|entry| entry.summary.state == EntryState::Resolved) {
        return (AttachmentState::Failed, after_failure(letters().next_back(), around));
    }
    if !around.has_all_records || !around.has_all_rows {
        let text = "unknown: nothing tells where it is, and not everything could be read. See what was searched; \
            try again with --since, or a higher --max-records";
        return (AttachmentState::Unknown, Next::new(text));
    }
    let text = if is_uploaded {
        "lost: its result is finished, and it has no row. Reconcile its date, then send the event again"
    } else {
        "lost: no record, no row. Reconcile its date, then send the event again"
    };
    (AttachmentState::Lost, reconcile(Next::new(text), around.date))
}

/// Adds the command that verifies a loss.
pub(super) fn reconcile(next: Next, date: Option<Date>) -> Next {
    let range = date.and_then(|date| Some((date, date.checked_add(1.day()).ok()?)));
    match range {
        Some((from, to)) => next.with_command(format!("xact-pipeline reconcile --from {from} --to {to}")),
        None => next,
    }
}

/// Returns what a waiting dead letter needs.
pub(super) fn settle(entry: &FoundEntry) -> Next {
    let id = entry.summary.id;
    match &entry.replay {
        ReplayOutcome::Topic(topic) => Next::new(format!(
            "dead letter {id} waits; once the cause is mended, a replay sends it to {topic}"
        ))
        .with_command(format!("xact-pipeline dlq replay {id}")),
        ReplayOutcome::Refused(reason) => Next::new(format!(
            "dead letter {id} waits, and a replay is refused: {reason}. Once it is dealt with, resolve it"
        ))
        .with_command(format!("xact-pipeline dlq resolve {id}")),
    }
}

/// Returns what a record that its stage has not finished waits for: the latest one.
fn in_progress(known: &Known<'_>, around: &Around<'_>) -> Option<Next> {
    let positions = around.positions?;
    let unfinished = known.records.iter().filter_map(|record| {
        let stage = reader(&record.content)?;
        // A failed result makes no row: the task has gone to a retry topic.
        let tells = !matches!(&record.content, Content::Result(result) if result.status == Status::Failed);
        (tells && !positions.is_finished(stage, &record.source)).then_some((stage, record))
    });
    let (stage, record) = unfinished.max_by_key(|(stage, record)| (record.source.timestamp, *stage))?;
    let waits = waits(stage, &record.source, positions);
    Some(match &record.content {
        Content::Retry(task) => retry(task, &waits, around),
        Content::Result(result) if result.status == Status::Completed => {
            Next::new(format!("the file is uploaded; its row {waits}"))
        }
        Content::Result(_) => Next::new(format!("it has failed for good; its row {waits}")),
        _ => Next::new(waits),
    })
}

fn retry(task: &DownloadTask, waits: &str, around: &Around<'_>) -> Next {
    let name = format!("retry {} of {}", task.retry_count, around.max_retries);
    match task.retry_at() {
        Some(due) if due > around.now => Next {
            at: Some(due),
            ..Next::new(format!("{name} is due at {}", time::format(due)))
        },
        Some(due) => Next {
            at: Some(due),
            ..Next::new(format!("{name} has been due since {}: it {waits}", time::format(due)))
        },
        None => Next::new(format!("{name} is due now: it {waits}")),
    }
}

/// Returns what an event waits for that the ingester has not finished.
fn not_expanded(known: &Known<'_>, around: &Around<'_>) -> Option<Next> {
    let positions = around.positions?;
    let stage = Stage::EventIngester;
    let is_waiting = |source: &&&SourceRecord| !positions.is_finished(stage, source);
    let source = known.events.iter().find(is_waiting)?;
    Some(Next::new(waits(stage, source, positions)))
}

/// Returns where a record waits, and how many records are before it.
pub(super) fn waits(stage: Stage, source: &SourceRecord, positions: &Positions) -> String {
    let SourceRecord {
        topic,
        partition,
        offset,
        ..
    } = source;
    let place = format!("waits in {topic}[{partition}] at offset {offset} for the {stage} stage");
    match positions.of(stage, source) {
        None => format!("{place}, whose group has no position"),
        Some(position) => match offset - position.next {
            ..=0 => format!("{place}: group {} is at it", position.group),
            1 => format!("{place}: group {} is 1 record behind", position.group),
            records => format!("{place}: group {} is {records} records behind", position.group),
        },
    }
}

fn after_failure(letter: Option<&FoundEntry>, around: &Around<'_>) -> Next {
    let text = match letter.map(|entry| (entry.summary.state, entry.summary.settled_at)) {
        Some((EntryState::Resolved, at)) => {
            let at = at.map(|at| format!(" at {}", time::format(at))).unwrap_or_default();
            format!("failed; its dead letter was resolved{at}. Nothing more happens")
        }
        Some((EntryState::Replayed, _)) => {
            "failed; its dead letter was replayed, and what came of the replay was not found. The source must send the \
             event again"
                .to_owned()
        }
        _ if !around.has_all_records => {
            "failed; whether its dead letter waits is not known, because not all topics could be read".to_owned()
        }
        _ => "failed, and no dead letter of it is left: the source must send the event again".to_owned(),
    };
    Next::new(text)
}

fn entry<'a>(record: &&'a FoundRecord) -> Option<&'a FoundEntry> {
    match &record.content {
        Content::DeadLetter(entry) => Some(entry),
        _ => None,
    }
}
