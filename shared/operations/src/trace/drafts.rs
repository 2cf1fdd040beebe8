//! The attachments of an event, wherever they are named. Pure.

use uuid::Uuid;

use super::evidence::Evidence;
use super::record::Content;
use super::row::EventRowFound;
use crate::reconcile::split_attachments;
use xact_contracts::ids;
use xact_contracts::messages::{Event, MAX_ATTACHMENTS, Message, SourceRecord};
use xact_contracts::redaction::redact_url;

/// An attachment whose records and rows are gathered.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) media_id: Option<Uuid>,
    pub(super) url: Option<String>,
    /// The records of the raw topic that name it.
    pub(super) events: Vec<SourceRecord>,
}

/// Returns the attachments that the event, its row, its records or rows name.
pub(super) fn drafts(evidence: &Evidence, notes: &mut Vec<String>) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (source, event) in evidence.events() {
        let count = event.attachments.len();
        if count > MAX_ATTACHMENTS {
            notes.push(format!(
                "the event names {count} attachments, and at most {MAX_ATTACHMENTS} are accepted: it was rejected as a whole"
            ));
            continue;
        }
        for url in &event.attachments {
            let media_id = ids::media_id(&event.trace_id, url);
            let draft = draft(&mut drafts, media_id, || redact_url(url));
            draft.events.push(source.clone());
        }
    }
    for record in &evidence.records {
        let Some(media_id) = record.content.media_id() else {
            continue;
        };
        draft(&mut drafts, media_id, || match &record.content {
            Content::Task(task) | Content::Retry(task) => redact_url(&task.attachment_url),
            Content::Cached(cached) => redact_url(&cached.attachment_url),
            Content::Result(result) => redact_url(&result.attachment_url),
            Content::DeadLetter(entry) => entry.summary.attachment_url.clone().unwrap_or_default(),
            Content::Event(_) => String::new(),
        });
    }
    let completed = evidence.rows.attachments.iter().flatten();
    let completed = completed.filter_map(|row| Some((row.media_id?, &row.attachment_url)));
    let failed = evidence.rows.failed.iter().flatten();
    let failed = failed.filter_map(|row| Some((row.media_id?, &row.attachment_url)));
    for (media_id, url) in completed.chain(failed) {
        draft(&mut drafts, media_id, || redact_url(url));
    }
    if let Some(row) = evidence.event_row().filter(|_| !evidence.has_event()) {
        add_of_row(row, &mut drafts);
    }
    drafts
}

/// Returns the attachment of this id, which is added if it is new.
fn draft(drafts: &mut Vec<Draft>, media_id: Uuid, url: impl FnOnce() -> String) -> &mut Draft {
    let known = drafts.iter().position(|draft| draft.media_id == Some(media_id));
    let index = known.unwrap_or_else(|| {
        drafts.push(Draft {
            media_id: Some(media_id),
            url: Some(url()).filter(|url| !url.is_empty()),
            events: Vec::new(),
        });
        drafts.len() - 1
    });
    &mut drafts[index]
}

/// Adds the attachments that only the row of the event names. It has no signatures, so no ids: each URL is that of one known
/// attachment, or of one that is nowhere.
fn add_of_row(row: &EventRowFound, drafts: &mut Vec<Draft>) {
    let event = Event::decode(row.raw_json.as_bytes()).ok();
    let mut known: Vec<String> = drafts.iter().filter_map(|draft| draft.url.clone()).collect();
    for url in split_attachments(&row.attachments, event.as_ref())
        .into_iter()
        .take(MAX_ATTACHMENTS)
    {
        match known.iter().position(|known| *known == url) {
            Some(index) => {
                known.swap_remove(index);
            }
            None => drafts.push(Draft {
                url: Some(url),
                ..Draft::default()
            }),
        }
    }
}
