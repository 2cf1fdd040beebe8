//! Everything that is known of one date. Pure: `topics` and `tables` fill it, `verdict` evaluates it.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::expected::{ExpectedEvents, Finished, is_rejected};
use xact_contracts::ids;
use xact_contracts::messages::{Event, Message};
use xact_contracts::redaction::redact_url;
use xact_contracts::url_paths::UrlPaths;

/// Everything that is known of one date.
#[derive(Debug, Clone, Default)]
pub(super) struct Day {
    /// The events of the time range.
    pub(super) events: ExpectedEvents,
    /// Events of the date on the raw topic, also those outside the time range.
    pub(super) on_raw: HashSet<Uuid>,
    /// Events that a dead letter holds as a whole.
    pub(super) dead_events: HashSet<Uuid>,
    /// Attachments in records that their stage has not finished, with the role of the topic.
    pub(super) waiting: HashMap<Uuid, &'static str>,
    /// Rows of `xact_events`, by event.
    pub(super) event_rows: HashMap<Uuid, u32>,
    /// Rows of `xact_attachments`, by attachment.
    pub(super) completed: HashMap<Uuid, u32>,
    /// Rows of `xact_attachments_failed`, by attachment and replay count.
    pub(super) failed: HashMap<(Uuid, i32), u32>,
    /// Attachments by event and redacted URL, of events that are known from their rows alone.
    pub(super) by_url: HashMap<(Uuid, Box<str>), HashSet<Uuid>>,
    /// Events that only the rows of their attachments name, with their trace ids.
    pub(super) orphans: HashMap<Uuid, Box<str>>,
    /// Records of the time range on the raw topic that are not events.
    pub(super) unreadable: u64,
    /// Events that the ingester rejects because they have too many attachments.
    pub(super) rejected: HashSet<Uuid>,
    /// JSON paths of URLs outside the list of attachments, by event.
    pub(super) unlisted_urls: HashMap<Uuid, Vec<String>>,
    /// JSON paths of URLs that are known not to be attachments.
    pub(super) ignored_urls: UrlPaths,
}

impl Day {
    /// Adds an event of the raw topic.
    pub(super) fn add_raw_event(&mut self, event: &Event, at: Timestamp, finished: Finished) {
        self.note_unexpanded(event);
        self.events.add_raw(event, at, finished);
    }

    /// Adds an event that is known from its row alone: `attachments` is that column, `raw_json` the event without signatures.
    pub(super) fn add_row_event(&mut self, trace_id: &str, at: Timestamp, attachments: &str, raw_json: &str) {
        let event = Event::decode(raw_json.as_bytes()).ok();
        if let Some(event) = &event {
            self.note_unexpanded(event);
        }
        self.events.add_row(trace_id, at, attachments, event.as_ref());
    }

    /// Notes what the ingester does not read of an event.
    fn note_unexpanded(&mut self, event: &Event) {
        let id = ids::event_id(&event.trace_id);
        if is_rejected(event) {
            self.rejected.insert(id);
        }
        let urls = self.ignored_urls.others(&event.irregularities.unlisted_urls);
        let paths: Vec<String> = urls.map(str::to_owned).collect();
        if !paths.is_empty() {
            self.unlisted_urls.insert(id, paths);
        }
    }

    /// Adds an attachment that a row or a record names.
    pub(super) fn add_attachment(&mut self, trace_id: &str, media_id: Uuid, url: &str) {
        let event = ids::event_id(trace_id);
        let is_on_raw = self.on_raw.contains(&event);
        if self.events.contains(&event) && !is_on_raw {
            let same_url = self.by_url.entry((event, redact_url(url).into()));
            same_url.or_default().insert(media_id);
        }
        if !self.event_rows.contains_key(&event) && !is_on_raw {
            self.orphans.entry(event).or_insert_with(|| trace_id.into());
        }
    }

    /// Returns the events without a timestamp that have no row on this date.
    pub(super) fn undated_without_row(&self) -> impl Iterator<Item = Uuid> {
        let events = self.events.iter();
        let without = events.filter(|(id, event)| event.is_undated && !self.event_rows.contains_key(*id));
        without.map(|(id, _)| *id)
    }
}
