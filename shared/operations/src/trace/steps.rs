//! The steps of an attachment, from the records and rows that tell them. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::life::{Step, StepKind};
use super::record::{Content, FoundRecord, Positions};
use super::row::{AttachmentRowFound, FailedRowFound};
use crate::dead_letters::{EntryState, FoundEntry};
use xact_contracts::category::Category;
use xact_contracts::messages::{DownloadResult, DownloadTask, Status, metadata};
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::Stage;

/// A step with its place among the others: the number of the replay, then the time in milliseconds, as records have it.
pub(super) type Placed = ((u32, i64, StepKind), Step);

/// Returns the stage that reads a record on its topic.
pub(super) fn reader(content: &Content) -> Option<Stage> {
    match content {
        Content::Event(_) | Content::DeadLetter(_) => None,
        Content::Task(_) => Some(Stage::Download),
        Content::Retry(_) => Some(Stage::RetryScheduler),
        Content::Cached(_) => Some(Stage::Upload),
        Content::Result(_) => Some(Stage::ResultProcessor),
    }
}

/// Returns the steps that a record tells.
pub(super) fn of_record(record: &FoundRecord, positions: Option<&Positions>) -> Vec<Placed> {
    let finished = reader(&record.content).and_then(|stage| Some(positions?.is_finished(stage, &record.source)));
    let step = |kind, at, replay: u32| Step {
        record: Some(record.source.clone()),
        finished,
        replay: Some(replay).filter(|replay| *replay > 0),
        ..Step::at(kind, at)
    };
    let written = record.source.timestamp;
    match &record.content {
        Content::Event(_) => Vec::new(),
        Content::Task(task) => {
            let replay = task.replay_count();
            let step = Step {
                attempt: Some(task.retry_count + 1),
                blob_path: Some(redact_text(&task.blob_path)),
                ..step(StepKind::Task, written, replay)
            };
            vec![placed(replay, step)]
        }
        Content::Retry(task) => {
            let replay = task.replay_count();
            let step = Step {
                attempt: Some(task.retry_count + 1),
                due_at: task.retry_at(),
                reason: noted(task, metadata::LAST_ERROR),
                error_category: noted(task, metadata::ERROR_CATEGORY).as_deref().and_then(category),
                ..step(StepKind::Retry, written, replay)
            };
            vec![placed(replay, step)]
        }
        Content::Cached(cached) => {
            let replay = cached.to_task().replay_count();
            let step = Step {
                attempt: Some(cached.retry_count + 1),
                bytes: Some(cached.bytes_downloaded),
                sha256: Some(redact_text(&cached.sha256)),
                ..step(StepKind::Cached, written.or(Some(cached.downloaded_at)), replay)
            };
            vec![placed(replay, step)]
        }
        Content::Result(result) => vec![of_result(result, &step)],
        Content::DeadLetter(entry) => of_entry(entry, &step),
    }
}

fn of_result(result: &DownloadResult, step: &dyn Fn(StepKind, Option<Timestamp>, u32) -> Step) -> Placed {
    let (replay, at) = (result.replay_count, Some(result.created_at));
    let failure = |kind| Step {
        reason: result.error_message.as_deref().map(redact_text),
        error_category: result.error_category,
        http_status: result.http_status,
        attempt: Some(result.retry_count + 1),
        ..step(kind, at, replay)
    };
    let step = match result.status {
        Status::Completed => Step {
            attempt: Some(result.retry_count + 1),
            bytes: Some(result.bytes_downloaded),
            sha256: result.sha256.as_deref().map(redact_text),
            blob_path: Some(redact_text(&result.blob_path)),
            ..step(StepKind::Uploaded, at, replay)
        },
        Status::Failed => failure(StepKind::AttemptFailed),
        Status::FailedPermanent => failure(StepKind::Failed),
    };
    placed(replay, step)
}

fn of_entry(entry: &FoundEntry, step: &dyn Fn(StepKind, Option<Timestamp>, u32) -> Step) -> Vec<Placed> {
    let summary = &entry.summary;
    let replay = summary.replay_count.unwrap_or(0);
    let id = Some(summary.id.to_string());
    let letter = Step {
        dead_letter: id.clone(),
        reason: summary.final_error.clone(),
        error_category: summary.error_category,
        attempt: summary.retry_count.map(|count| count + 1),
        ..step(StepKind::DeadLetter, summary.failed_at, replay)
    };
    let settled = |kind| Step {
        dead_letter: id,
        reason: summary.settled_by.as_ref().map(|by| format!("by {by}")),
        ..Step::at(kind, summary.settled_at)
    };
    let mut steps = vec![placed(replay, letter)];
    match summary.state {
        EntryState::Waiting => {}
        EntryState::Resolved => steps.push(placed(replay, settled(StepKind::Resolved))),
        // The message is sent before the mark is written, so by time alone the task would come first.
        EntryState::Replayed => {
            let key = (replay.saturating_add(1), i64::MIN, StepKind::Replayed);
            steps.push((key, settled(StepKind::Replayed)));
        }
    }
    steps
}

/// Returns the step of a completed row.
pub(super) fn of_completed(row: &AttachmentRowFound) -> Placed {
    let step = Step {
        bytes: row.bytes,
        sha256: Some(redact_text(&row.sha256)).filter(|text| !text.is_empty()),
        blob_path: Some(redact_text(&row.blob_path)),
        row: Some(row.place.clone()),
        ..Step::at(StepKind::Row, Some(row.created_at))
    };
    // The row does not tell which replay completed the attachment; it is the last one.
    placed(u32::MAX, step)
}

/// Returns the step of a failed row.
pub(super) fn of_failed(row: &FailedRowFound) -> Placed {
    let step = Step {
        reason: Some(redact_text(&row.error_message)).filter(|text| !text.is_empty()),
        error_category: category(&row.error_category),
        http_status: row.http_status,
        attempt: Some(row.retry_count + 1),
        replay: Some(row.replay_count).filter(|replay| *replay > 0),
        row: Some(row.place.clone()),
        ..Step::at(StepKind::Row, Some(row.created_at))
    };
    placed(row.replay_count, step)
}

fn placed(replay: u32, step: Step) -> Placed {
    let at = step.at.map_or(i64::MAX, Timestamp::as_millisecond);
    ((replay, at, step.step), step)
}

fn noted(task: &DownloadTask, name: &str) -> Option<String> {
    task.metadata.get(name).and_then(Value::as_str).map(redact_text)
}

fn category(name: &str) -> Option<Category> {
    Category::ALL.into_iter().find(|category| category.as_str() == name)
}
