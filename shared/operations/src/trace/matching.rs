//! Which records have an id that is not the key of anything.

use std::ops::ControlFlow;

use super::answer::Match;
use super::claim::claim_number;
use super::query::{IdKind, Query};
use super::topics::TopicSearch;
use xact_contracts::ids;
use xact_contracts::messages::Event;
use xact_contracts::redaction::redact_url;

/// Most matching events that are read from the raw topic, so that the newest can be listed.
const MAX_CANDIDATES: usize = 10_000;

/// Returns the events on the raw topic that have the id.
pub(super) fn events_of(topics: &mut TopicSearch, query: &Query, topic: &str) -> Vec<(IdKind, Match)> {
    let mut found = Vec::new();
    topics.events(|event, at| {
        if let Some(kind) = kind_of(query, event) {
            let found_in = topic.to_owned();
            found.push((kind, Match::of_raw(event, at, found_in)));
        }
        if found.len() < MAX_CANDIDATES {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    found
}

/// Returns as what an event has the id.
fn kind_of(query: &Query, event: &Event) -> Option<IdKind> {
    let has = |kind| match kind {
        IdKind::TraceId => event.trace_id == query.text,
        IdKind::AssignmentId => event.assignment_id.as_deref() == Some(&query.text),
        IdKind::ClaimNumber => claim_number(event).as_deref() == Some(&query.text),
        IdKind::MediaId => {
            let mut urls = event.attachments.iter();
            urls.any(|url| Some(ids::media_id(&event.trace_id, url)) == query.media_id())
        }
        IdKind::Url => {
            let mut urls = event.attachments.iter();
            urls.any(|url| *url == query.text || redact_url(url) == query.redacted_url)
        }
        // A path has the trace id, or its task has the path.
        IdKind::BlobPath => query.trace_id() == Some(&event.trace_id),
    };
    query.kinds.iter().copied().find(|kind| has(*kind))
}

/// Returns the events whose tasks on the pending topic have the id.
pub(super) fn tasks_of(topics: &mut TopicSearch, query: &Query) -> Vec<(IdKind, Match)> {
    let mut found = Vec::new();
    topics.tasks(|task| {
        let kind = if query.media_id() == Some(task.media_id) {
            Some(IdKind::MediaId)
        } else {
            (query.may_be(IdKind::BlobPath) && task.blob_path == query.text).then_some(IdKind::BlobPath)
        };
        let Some(kind) = kind else {
            return ControlFlow::Continue(());
        };
        found.push((kind, Match::of_task(task)));
        ControlFlow::Break(())
    });
    found
}
