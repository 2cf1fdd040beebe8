//! What the tables hold of one date, read batch by batch.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use uuid::Uuid;

use super::day::Day;
use super::{Error, Range};
use crate::table_columns::{instant, number, text};
use xact_config::Settings;
use xact_contracts::ids;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, EventRow, FailedRow, Key, Table};
use xact_table_sink::{WINDOW_DAYS, table};

/// The three tables.
pub(super) struct Tables {
    events: Table<EventRow>,
    attachments: Table<AttachmentRow>,
    failed: Table<FailedRow>,
}

impl Tables {
    pub(super) fn open(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            events: table(settings)?,
            attachments: table(settings)?,
            failed: table(settings)?,
        })
    }

    /// The dates of which any of them has rows now.
    pub(super) async fn dates(&self) -> Result<BTreeSet<Date>, Error> {
        let mut dates = self.events.dates().await?;
        dates.extend(self.attachments.dates().await?);
        dates.extend(self.failed.dates().await?);
        Ok(dates)
    }

    /// The events that have a row now. What comes later is not asked for: its attachments may be on their way unseen.
    pub(super) async fn known(&self, date: Date) -> Result<HashSet<Uuid>, Error> {
        let mut known = HashSet::new();
        let visit = |batch: &RecordBatch| {
            known.extend((0..batch.num_rows()).map(|row| uuid(text(batch, "event_id", row))));
        };
        self.events.for_each_batch(&["event_id"], date, visit).await?;
        Ok(known)
    }

    /// Adds the rows. First the events: they decide how attachments are matched; the failures last, as a completed
    /// attachment takes its failures out.
    pub(super) async fn read(
        &self,
        date: Date,
        range: Range,
        known: &HashSet<Uuid>,
        seen: Vec<(String, Uuid, String)>,
        day: &mut Day,
    ) -> Result<(), Error> {
        let columns = ["event_id", "trace_id", "event_timestamp", "attachments", "raw_json"];
        let visit = |batch: &RecordBatch| {
            for row in 0..batch.num_rows() {
                let id = uuid(text(batch, "event_id", row));
                *day.event_rows.entry(id).or_default() += 1;
                let at = instant(batch, "event_timestamp", row);
                if known.contains(&id) && range.holds(at) && !day.on_raw.contains(&id) {
                    let column = |name| text(batch, name, row);
                    day.row_event(column("trace_id"), at, column("attachments"), column("raw_json"));
                }
            }
        };
        self.events.for_each_batch(&columns, date, visit).await?;
        for (trace_id, media_id, url) in seen {
            // A record of an event whose row is still to come tells nothing of that row.
            if day.event_rows.contains_key(&ids::event_id(&trace_id)) {
                day.seen(&trace_id, media_id, &url);
            }
        }
        let visit = |batch: &RecordBatch| {
            for row in 0..batch.num_rows() {
                let id = uuid(text(batch, "media_id", row));
                *day.completed.entry(id).or_default() += 1;
                day.seen(text(batch, "trace_id", row), id, text(batch, "attachment_url", row));
            }
        };
        let columns = ["media_id", "trace_id", "attachment_url"];
        self.attachments.for_each_batch(&columns, date, visit).await?;
        let visit = |batch: &RecordBatch| {
            for row in 0..batch.num_rows() {
                let id = uuid(text(batch, "media_id", row));
                let replay = number(batch, "replay_count", row);
                *day.failed.entry((id, replay)).or_default() += 1;
                day.seen(text(batch, "trace_id", row), id, text(batch, "attachment_url", row));
            }
        };
        let columns = ["media_id", "trace_id", "attachment_url", "replay_count"];
        self.failed.for_each_batch(&columns, date, visit).await?;
        self.forget_new_events(date, day).await?;
        self.forget_earlier_events(date, day).await
    }

    /// Events without a timestamp whose row has the date of an earlier record belong to that date.
    async fn forget_earlier_events(&self, date: Date, day: &mut Day) -> Result<(), Error> {
        let ids: HashSet<Arc<str>> = day.undated_without_row().map(|id| id.to_string().into()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let first = date.saturating_sub(WINDOW_DAYS.days());
        for id in self.events.dates_of(&ids, first, date).await?.keys() {
            day.events.remove(&uuid(id));
        }
        Ok(())
    }

    /// Events whose row came while the attachments were read are no orphans.
    async fn forget_new_events(&self, date: Date, day: &mut Day) -> Result<(), Error> {
        if day.orphans.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = day.orphans.keys().map(|id| Key::new(&id.to_string())).collect();
        for key in self.events.existing_keys(date, &keys).await? {
            day.orphans.remove(&uuid(&key.id));
        }
        Ok(())
    }
}

/// Ids are UUIDs; whatever else somebody wrote there still has a key of its own.
fn uuid(text: &str) -> Uuid {
    text.parse()
        .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()))
}
