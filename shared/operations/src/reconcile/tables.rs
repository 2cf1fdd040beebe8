//! The rows of one date, read batch by batch.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use uuid::Uuid;

use super::day::Day;
use super::range::TimeRange;
use super::topics::UnfinishedAttachment;
use crate::columns::{instant, number, text};
use crate::error::OperationError;
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
    pub(super) fn open(settings: &Settings) -> Result<Self, OperationError> {
        Ok(Self {
            events: table(settings)?,
            attachments: table(settings)?,
            failed: table(settings)?,
        })
    }

    /// Returns the CU seconds of all reads so far; `None` if the tables are local.
    pub(super) fn cu_seconds(&self) -> Option<f64> {
        let bills = [self.events.bill(), self.attachments.bill(), self.failed.bill()];
        let bills = bills.into_iter().flatten().map(|bill| bill.total().cu_seconds());
        bills.reduce(|sum, more| sum + more)
    }

    /// Returns the dates that have rows in any of the tables.
    pub(super) async fn dates(&self) -> Result<BTreeSet<Date>, OperationError> {
        let mut dates = self.events.dates().await?;
        dates.extend(self.attachments.dates().await?);
        dates.extend(self.failed.dates().await?);
        Ok(dates)
    }

    /// Returns the events that have a row now, before the topics are read. Events whose row is added later are not expected:
    /// their attachments may be in records that were not read.
    pub(super) async fn known_events(&self, date: Date) -> Result<HashSet<Uuid>, OperationError> {
        let mut known = HashSet::new();
        let visit = |batch: &RecordBatch| {
            known.extend((0..batch.num_rows()).map(|row| uuid(text(batch, "event_id", row))));
        };
        self.events.for_each_batch(&["event_id"], date, visit).await?;
        Ok(known)
    }

    /// Adds the rows to the day. Events come first, because they decide how attachments are matched; failed rows come last,
    /// because a completed attachment removes its failed rows.
    pub(super) async fn read(
        &self,
        date: Date,
        range: TimeRange,
        known: &HashSet<Uuid>,
        unfinished: Vec<UnfinishedAttachment>,
        day: &mut Day,
    ) -> Result<(), OperationError> {
        self.read_events(date, range, known, day).await?;
        for attachment in unfinished {
            // Without a row of the event, a record does not mean that the row is missing: it may not be written yet.
            if day.event_rows.contains_key(&ids::event_id(&attachment.trace_id)) {
                day.add_attachment(&attachment.trace_id, attachment.media_id, &attachment.url);
            }
        }
        let columns = ["media_id", "trace_id", "attachment_url"];
        let visit = |batch: &RecordBatch| {
            for row in 0..batch.num_rows() {
                let id = uuid(text(batch, "media_id", row));
                *day.completed.entry(id).or_default() += 1;
                day.add_attachment(text(batch, "trace_id", row), id, text(batch, "attachment_url", row));
            }
        };
        self.attachments.for_each_batch(&columns, date, visit).await?;
        let columns = ["media_id", "trace_id", "attachment_url", "replay_count"];
        let visit = |batch: &RecordBatch| {
            for row in 0..batch.num_rows() {
                let id = uuid(text(batch, "media_id", row));
                let replay = number(batch, "replay_count", row);
                *day.failed.entry((id, replay)).or_default() += 1;
                day.add_attachment(text(batch, "trace_id", row), id, text(batch, "attachment_url", row));
            }
        };
        self.failed.for_each_batch(&columns, date, visit).await?;
        self.remove_new_orphans(date, day).await?;
        self.remove_events_of_earlier_dates(date, day).await
    }

    async fn read_events(
        &self,
        date: Date,
        range: TimeRange,
        known: &HashSet<Uuid>,
        day: &mut Day,
    ) -> Result<(), OperationError> {
        let columns = ["event_id", "trace_id", "event_timestamp", "attachments", "raw_json"];
        let visit = |batch: &RecordBatch| {
            for row in 0..batch.num_rows() {
                let id = uuid(text(batch, "event_id", row));
                *day.event_rows.entry(id).or_default() += 1;
                let at = instant(batch, "event_timestamp", row);
                if known.contains(&id) && range.contains(at) && !day.on_raw.contains(&id) {
                    let column = |name| text(batch, name, row);
                    day.add_row_event(column("trace_id"), at, column("attachments"), column("raw_json"));
                }
            }
        };
        Ok(self.events.for_each_batch(&columns, date, visit).await?)
    }

    /// Removes orphans whose event row was added while the attachments were read.
    async fn remove_new_orphans(&self, date: Date, day: &mut Day) -> Result<(), OperationError> {
        if day.orphans.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = day.orphans.keys().map(|id| Key::new(&id.to_string())).collect();
        for key in self.events.existing_keys(date, &keys).await? {
            day.orphans.remove(&uuid(&key.id));
        }
        Ok(())
    }

    /// Removes events without a timestamp whose row has the date of an earlier record: they belong to that date.
    async fn remove_events_of_earlier_dates(&self, date: Date, day: &mut Day) -> Result<(), OperationError> {
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
}

/// Ids are UUIDs. A foreign id that is not a UUID is mapped to one, so that it still is a key of its own.
fn uuid(text: &str) -> Uuid {
    text.parse()
        .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()))
}
