//! The verdict on a date: compares what must be somewhere with what is there.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::day::Day;
use super::expected::ExpectedEvent;
use super::reconciliation::{Duplicate, Findings, Missing};
use xact_lake::{AttachmentRow, EventRow, FailedRow, TableRow};

/// How a duplicate in both attachment tables is reported.
const BOTH_TABLES: &str = "xact_attachments and xact_attachments_failed";

/// The highest replay count that is looked up.
const MAX_REPLAYS: i32 = 100;

/// Where an attachment is.
enum Place {
    Completed,
    Failed,
    /// In a topic of this role.
    Waiting(&'static str),
}

impl Day {
    /// Returns the counts, what is missing, and what is duplicate.
    pub(super) fn verdict(&self) -> Findings {
        let mut findings = Findings {
            unreadable: self.unreadable + self.rejected.len() as u64,
            ..Findings::default()
        };
        for (id, event) in self.events.iter() {
            self.judge_event(id, event, &mut findings);
        }
        let orphans = self.orphans.iter();
        let without_row = orphans.filter(|(event, _)| !self.event_rows.contains_key(*event));
        let missing = without_row.map(|(_, trace_id)| Missing::event_row(trace_id, None));
        findings.missing.extend(missing);
        findings.duplicates = self.duplicates();
        findings.duplicates.sort();
        let missing = &mut findings.missing;
        missing.sort_by(|a, b| (a.at, &a.trace_id, &a.url).cmp(&(b.at, &b.trace_id, &b.url)));
        findings
    }

    fn judge_event(&self, id: &Uuid, event: &ExpectedEvent, findings: &mut Findings) {
        findings.events.all += 1;
        findings.events.by_table_alone += u64::from(!self.on_raw.contains(id));
        if let Some(paths) = self.unlisted_urls.get(id) {
            findings.events_with_unlisted_urls += 1;
            for path in paths {
                *findings.unlisted_urls.entry(path.clone()).or_default() += 1;
            }
        }
        let event_row = Missing::event_row(&event.trace_id, Some(event.at));
        if !self.event_rows.contains_key(id) {
            if event.is_written {
                findings.missing.push(event_row.clone());
            } else {
                findings.events.waiting += 1;
            }
        }
        let mut unclaimed: HashMap<&str, Vec<Uuid>> = HashMap::new();
        for attachment in &event.attachments {
            findings.attachments.all += 1;
            let media_id = attachment.media_id.or_else(|| {
                // Attachments whose URLs differ only in the signature are equal here: each claims one of those found.
                let found = unclaimed.entry(&attachment.url).or_insert_with(|| {
                    let found = self.by_url.get(&(*id, attachment.url.clone()));
                    found.map(|ids| ids.iter().copied().collect()).unwrap_or_default()
                });
                found.pop()
            });
            let counts = &mut findings.attachments;
            match media_id.and_then(|media_id| self.place_of(media_id)) {
                Some(Place::Completed) => counts.completed += 1,
                Some(Place::Failed) => counts.failed += 1,
                Some(Place::Waiting(role)) => *counts.waiting.entry(role).or_default() += 1,
                None if !attachment.is_expanded => *counts.waiting.entry("raw").or_default() += 1,
                None if self.dead_events.contains(id) => *counts.waiting.entry("dlq").or_default() += 1,
                None => findings.missing.push(Missing {
                    what: "attachment",
                    media_id: attachment.media_id,
                    url: Some(attachment.url.to_string()),
                    ..event_row.clone()
                }),
            }
        }
    }

    fn place_of(&self, media_id: Uuid) -> Option<Place> {
        if self.completed.contains_key(&media_id) {
            return Some(Place::Completed);
        }
        // A replayed attachment still has its failed row, and waits.
        if let Some(role) = self.waiting.get(&media_id) {
            return Some(Place::Waiting(role));
        }
        // Replays are few, so each count is looked up until one is found.
        let has_failed = (0..=MAX_REPLAYS).any(|replay| self.failed.contains_key(&(media_id, replay)));
        has_failed.then_some(Place::Failed)
    }

    fn duplicates(&self) -> Vec<Duplicate> {
        let mut duplicates = Vec::new();
        let mut add = |table: &'static str, key: String, rows: u32| {
            if rows > 1 {
                duplicates.push(Duplicate { table, key, rows });
            }
        };
        for (id, rows) in &self.event_rows {
            add(EventRow::NAME, id.to_string(), *rows);
        }
        let failed: HashSet<Uuid> = self.failed.keys().map(|(id, _)| *id).collect();
        for (id, rows) in &self.completed {
            add(AttachmentRow::NAME, id.to_string(), *rows);
            // The result processor removes the failed rows before it finishes the result, so an unfinished result is not a
            // duplicate.
            if failed.contains(id) && !self.waiting.contains_key(id) {
                add(BOTH_TABLES, id.to_string(), 2);
            }
        }
        for ((id, replay), rows) in &self.failed {
            add(FailedRow::NAME, format!("{id}, replay_count {replay}"), *rows);
        }
        duplicates
    }
}

#[cfg(test)]
mod tests;
