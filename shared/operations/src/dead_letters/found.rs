//! The entries of one event, from records that were read for another purpose.

use std::collections::HashMap;

use jiff::Timestamp;

use super::entry::{Entry, EntryId, Mark};
use super::replay::{self, ReplayRules};
use super::summary::EntrySummary;
use super::view::ReplayOutcome;
use xact_config::Settings;
use xact_kafka::admin::TopicRecord;

/// Collects entries, and the marks of all entries: an entry's mark comes after it, in the same partition.
#[derive(Default)]
pub(crate) struct FoundEntries {
    entries: Vec<Entry>,
    marks: HashMap<EntryId, Mark>,
}

/// An entry without secrets, and what a replay would do.
#[derive(Debug, Clone)]
pub(crate) struct FoundEntry {
    pub(crate) summary: EntrySummary,
    pub(crate) replay: ReplayOutcome,
    /// The timestamp of the record.
    pub(crate) written: Option<Timestamp>,
    /// The header `traceparent`.
    pub(crate) traceparent: Option<String>,
}

impl FoundEntries {
    /// Adds a record of the dead-letter topic, if it is a mark or a wanted entry.
    pub(crate) fn add(&mut self, record: TopicRecord, is_wanted: impl Fn(&Entry) -> bool) {
        if let Some((id, mark)) = Mark::of_record(&record) {
            self.marks.insert(id, mark);
        } else if let Some(entry) = Entry::of_record(record, None)
            && is_wanted(&entry)
        {
            self.entries.push(entry);
        }
    }

    /// Returns the entries with their marks, as of `now`.
    pub(crate) fn finish(self, settings: &Settings, now: Timestamp) -> Vec<FoundEntry> {
        let rules = ReplayRules::new(settings, now);
        let entries = self.entries.into_iter();
        let found = entries.map(|mut entry| {
            entry.mark = self.marks.get(&entry.id).cloned();
            let header = entry.headers.iter().find(|(name, _)| name == "traceparent");
            let traceparent = header.and_then(|(_, value)| String::from_utf8(value.clone()?).ok());
            FoundEntry {
                summary: EntrySummary::of(&entry),
                replay: match replay::message(&entry, &rules) {
                    Ok(message) => ReplayOutcome::Topic(message.topic),
                    Err(reason) => ReplayOutcome::Refused(reason),
                },
                written: entry.written,
                traceparent,
            }
        });
        found.collect()
    }
}
