//! What was found of one event.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::record::{Content, FoundRecord, Positions};
use super::row::EventRowFound;
use super::tables::Rows;
use xact_contracts::ids;
use xact_contracts::messages::{Event, MAX_ATTACHMENTS, SourceRecord};

/// What was found of one event.
#[derive(Default)]
pub(super) struct Evidence {
    pub(super) trace_id: String,
    pub(super) records: Vec<FoundRecord>,
    /// `None`: they could not be read.
    pub(super) positions: Option<Positions>,
    pub(super) rows: Rows,
    /// Whether all topics were read, as far as they may hold records of the event.
    pub(super) has_all_records: bool,
}

impl Evidence {
    /// Returns whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        let Rows {
            events,
            attachments,
            failed,
        } = &self.rows;
        self.records.is_empty()
            && events.iter().flatten().next().is_none()
            && attachments.iter().flatten().next().is_none()
            && failed.iter().flatten().next().is_none()
    }

    /// Returns the events on the raw topic with their records, in the order of their records.
    pub(super) fn events(&self) -> impl Iterator<Item = (&SourceRecord, &Event)> {
        self.records.iter().filter_map(|record| match &record.content {
            Content::Event(event) => Some((&record.source, event.as_ref())),
            _ => None,
        })
    }

    pub(super) fn event_row(&self) -> Option<&EventRowFound> {
        self.rows.events.iter().flatten().next()
    }

    /// Returns the time that decides the date of all rows, and whether it is only that of the record.
    pub(super) fn event_time(&self) -> Option<(Timestamp, bool)> {
        if let Some(row) = self.event_row() {
            return Some((row.event_timestamp, false));
        }
        let own = self.events().find_map(|(_, event)| event.timestamp);
        let of_task = || {
            self.records.iter().find_map(|record| match &record.content {
                Content::Task(task) | Content::Retry(task) => Some(task.original_timestamp),
                Content::Cached(cached) => Some(cached.original_timestamp),
                Content::Result(result) => Some(result.original_timestamp),
                _ => None,
            })
        };
        let of_record = || self.events().find_map(|(source, _)| source.timestamp);
        match own.or_else(of_task) {
            Some(at) => Some((at, false)),
            None => of_record().map(|at| (at, true)),
        }
    }

    /// Returns the date of the rows that were found.
    pub(super) fn row_date(&self) -> Option<Date> {
        let Rows {
            events,
            attachments,
            failed,
        } = &self.rows;
        let places = events.iter().flatten().map(|row| &row.place);
        let places = places.chain(attachments.iter().flatten().map(|row| &row.place));
        let mut places = places.chain(failed.iter().flatten().map(|row| &row.place));
        places.next().map(|place| place.event_date)
    }

    /// Returns the ids of the attachments that records name.
    pub(super) fn media_ids(&self) -> BTreeSet<Uuid> {
        let named = self.events().flat_map(|(_, event)| {
            let urls = event.attachments.iter().take(MAX_ATTACHMENTS);
            urls.map(|url| ids::media_id(&event.trace_id, url))
        });
        named
            .chain(self.records.iter().filter_map(|record| record.content.media_id()))
            .collect()
    }

    /// Returns whether the ids of all attachments are known: the event itself was read.
    pub(super) fn has_event(&self) -> bool {
        self.events().next().is_some()
    }
}
