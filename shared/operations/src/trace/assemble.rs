//! Makes the life of an event of the records and rows that were found. Pure: no clock, no I/O.

use jiff::Timestamp;
use uuid::Uuid;

use super::claim::claim_number;
use super::drafts::{Draft, drafts};
use super::evidence::Evidence;
use super::life::{
    AttachmentLife, AttachmentState, EventLife, EventRowLife, Next, RowState, Step, StepKind, TraceLink,
};
use super::links;
use super::next::{Around, Known, decide, reconcile, waits};
use super::query::{IdKind, Query};
use super::record::{Content, FoundRecord};
use super::steps::{self, Placed};
use crate::dead_letters::{EntryState, FoundEntry};
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::Stage;
use xact_contracts::{ids, time};
use xact_lake::Location;

/// Most distributed traces that are linked.
const MAX_TRACES: usize = 5;

/// What the settings say.
pub(super) struct Rules {
    pub(super) now: Timestamp,
    pub(super) max_retries: u32,
    pub(super) delta_writes: bool,
    pub(super) files: Option<Location>,
    pub(super) trace_url_template: Option<String>,
}

/// Returns the life of an event; `None` if nothing was found.
pub(super) fn assemble(evidence: &Evidence, rules: &Rules, query: &Query) -> Option<EventLife> {
    if evidence.is_empty() {
        return None;
    }
    let mut notes = Vec::new();
    let drafts = drafts(evidence, &mut notes);
    let at = evidence.event_time().map(|(at, _)| at);
    let around = Around {
        positions: evidence.positions.as_ref(),
        has_all_records: evidence.has_all_records,
        has_all_rows: !rules.delta_writes || (evidence.rows.attachments.is_some() && evidence.rows.failed.is_some()),
        delta_writes: rules.delta_writes,
        max_retries: rules.max_retries,
        date: evidence.row_date().or_else(|| at.map(time::utc_date)),
        now: rules.now,
    };
    let waiting_of_event = entries(evidence).find(|(record, entry)| {
        let is_of_event = record.content.media_id().is_none();
        is_of_event && entry.summary.state == EntryState::Waiting
    });
    let dead_event = waiting_of_event.map(|(_, entry)| entry);
    let attachments = drafts
        .iter()
        .map(|draft| attachment(draft, evidence, rules, query, &around, dead_event));
    let attachments: Vec<AttachmentLife> = attachments.collect();
    let dead_letters = entries(evidence).filter(|(record, _)| record.content.media_id().is_none());
    let dead_letters = dead_letters
        .map(|(record, entry)| dead_letter(record, entry, &around))
        .collect();
    let (event, row) = (evidence.events().next().map(|(_, event)| event), evidence.event_row());
    let of_task = |read: fn(&Content) -> Option<&str>| evidence.records.iter().find_map(|record| read(&record.content));
    let text = |of_event: Option<&str>, of_row: Option<&str>| {
        let text = of_event.or(of_row).filter(|text| !text.is_empty());
        text.map(redact_text)
    };
    let claim_number = event.and_then(claim_number);
    Some(EventLife {
        trace_id: redact_text(&evidence.trace_id),
        event_id: ids::event_id(&evidence.trace_id),
        event_type: text(
            event.map(|event| event.event_type.as_str()),
            row.map(|row| row.event_type.as_str()),
        ),
        assignment_id: text(
            event.and_then(|event| event.assignment_id.as_deref()),
            row.map(|row| row.assignment_id.as_str())
                .or_else(|| of_task(assignment_of)),
        ),
        claim_number: text(claim_number.as_deref(), row.map(|row| row.claim_number.as_str())),
        event_timestamp: at,
        received: evidence.events().map(|(source, _)| source.clone()).collect(),
        row: event_row(evidence, &around),
        attachments,
        dead_letters,
        traces: traces(evidence, rules),
        notes,
    })
}

fn assignment_of(content: &Content) -> Option<&str> {
    match content {
        Content::Task(task) | Content::Retry(task) => Some(&task.assignment_id),
        Content::Cached(cached) => Some(&cached.assignment_id),
        Content::Result(result) => Some(&result.assignment_id),
        _ => None,
    }
}

fn entries(evidence: &Evidence) -> impl Iterator<Item = (&FoundRecord, &FoundEntry)> {
    evidence.records.iter().filter_map(|record| match &record.content {
        Content::DeadLetter(entry) => Some((record, entry.as_ref())),
        _ => None,
    })
}

fn attachment(
    draft: &Draft,
    evidence: &Evidence,
    rules: &Rules,
    query: &Query,
    around: &Around<'_>,
    dead_event: Option<&FoundEntry>,
) -> AttachmentLife {
    let is_its = |id: Option<Uuid>| id.is_some() && id == draft.media_id;
    let records = evidence
        .records
        .iter()
        .filter(|record| is_its(record.content.media_id()));
    let completed = evidence
        .rows
        .attachments
        .iter()
        .flatten()
        .filter(|row| is_its(row.media_id));
    let failed = evidence.rows.failed.iter().flatten().filter(|row| is_its(row.media_id));
    let known = Known {
        records: records.collect(),
        events: draft.events.iter().collect(),
        completed: completed.collect(),
        failed: failed.collect(),
        dead_event,
    };
    let mut placed: Vec<Placed> = Vec::new();
    for record in &known.records {
        placed.extend(steps::of_record(record, around.positions));
    }
    placed.extend(known.completed.iter().map(|row| steps::of_completed(row)));
    placed.extend(known.failed.iter().map(|row| steps::of_failed(row)));
    placed.sort_by_key(|(key, _)| *key);
    let steps: Vec<_> = placed.into_iter().map(|(_, step)| step).collect();
    let last = |read: fn(&Step) -> bool| steps.iter().rev().find(|step| read(step));
    let path = last(|step| step.blob_path.as_ref().is_some_and(|path| !path.is_empty()));
    let path = path.and_then(|step| step.blob_path.clone());
    let file = last(|step| step.bytes.is_some());
    let is_uploaded = last(|step| step.step == StepKind::Uploaded).is_some() || !known.completed.is_empty();
    let files = rules.files.as_ref().filter(|_| is_uploaded);
    let (state, next) = decide(&known, around);
    let has_url = draft.url.as_deref() == Some(query.redacted_url.as_str());
    AttachmentLife {
        media_id: draft.media_id,
        attachment_url: draft.url.clone(),
        asked_for: (query.media_id().is_some() && query.media_id() == draft.media_id)
            || (query.may_be(IdKind::Url) && has_url)
            || (query.may_be(IdKind::BlobPath) && path.as_deref() == Some(query.text.as_str())),
        state,
        file: files
            .zip(path.as_deref())
            .and_then(|(files, path)| links::file(files, path)),
        bytes: file.and_then(|step| step.bytes),
        sha256: file.and_then(|step| step.sha256.clone()),
        blob_path: path,
        steps,
        next,
    }
}

/// Returns a dead letter of a message that no attachment is known of.
fn dead_letter(record: &FoundRecord, entry: &FoundEntry, around: &Around<'_>) -> AttachmentLife {
    let known = Known {
        records: vec![record],
        events: Vec::new(),
        completed: Vec::new(),
        failed: Vec::new(),
        dead_event: None,
    };
    let (state, next) = match entry.summary.state {
        // What became of the message is with the attachments.
        EntryState::Replayed => (AttachmentState::InProgress, Next::new("its message was sent again")),
        _ => decide(&known, around),
    };
    AttachmentLife {
        media_id: None,
        attachment_url: entry.summary.attachment_url.clone(),
        asked_for: false,
        state,
        blob_path: None,
        file: None,
        bytes: None,
        sha256: None,
        steps: steps::of_record(record, around.positions)
            .into_iter()
            .map(|(_, step)| step)
            .collect(),
        next,
    }
}

fn event_row(evidence: &Evidence, around: &Around<'_>) -> EventRowLife {
    let row = evidence.event_row();
    let (state, next) = match (row, &evidence.rows.events) {
        (Some(_), Some(rows)) if rows.len() > 1 => {
            let text = format!("written {} times: duplicate rows", rows.len());
            (RowState::Written, reconcile(Next::new(text), around.date))
        }
        (Some(_), _) => (RowState::Written, Next::new("written")),
        (None, None) if !around.delta_writes => (
            RowState::Disabled,
            Next::new("ENABLE_DELTA_WRITES=false: no row is written"),
        ),
        (None, None) => (RowState::Unknown, Next::new("unknown: the table could not be read")),
        (None, Some(_)) => without_row(evidence, around),
    };
    EventRowLife {
        state,
        row: row.map(|row| row.place.clone()),
        ingested_at: row.map(|row| row.ingested_at),
        next,
    }
}

fn without_row(evidence: &Evidence, around: &Around<'_>) -> (RowState, Next) {
    if !around.delta_writes {
        return (
            RowState::Disabled,
            Next::new("ENABLE_DELTA_WRITES=false: no row is written"),
        );
    }
    let stage = Stage::EventWriter;
    if let Some(positions) = around.positions {
        let mut events = evidence.events();
        if let Some((source, _)) = events.find(|(source, _)| !positions.is_finished(stage, source)) {
            return (RowState::Waiting, Next::new(waits(stage, source, positions)));
        }
    }
    if !around.has_all_records {
        let text = "unknown: there is no row, and not all topics could be read";
        return (RowState::Unknown, Next::new(text));
    }
    let text = "lost: the event has no row, and no record that the event writer has not finished";
    (RowState::Lost, reconcile(Next::new(text), around.date))
}

fn traces(evidence: &Evidence, rules: &Rules) -> Vec<TraceLink> {
    let mut ids: Vec<u128> = Vec::new();
    for id in evidence.records.iter().filter_map(|record| record.trace) {
        if !ids.contains(&id) && ids.len() < MAX_TRACES {
            ids.push(id);
        }
    }
    let template = rules.trace_url_template.as_deref();
    ids.into_iter().map(|id| links::trace(id, template)).collect()
}

#[cfg(test)]
mod tests;
