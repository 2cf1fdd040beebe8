//! Dates of rows whose event has no timestamp of its own.
//!
//! The date of a row is part of its identity: a key is looked for on its own date alone. An event without a timestamp has
//! that of its record, which is another one when the event is sent again. So the first record decides: a later one takes
//! the date of the row that is there, if it lies within [`WINDOW_DAYS`] before it, and then adds no second row.
//!
//! The records of an event are in one partition, so the first one is handled before the others, or in one batch with them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::TableSink;
use xact_lake::TableRow;
use xact_runtime::Unavailable;

/// How many days may lie between two records of an event without a timestamp. Event Hubs Standard keeps records for seven.
pub const WINDOW_DAYS: i32 = 31;

/// The dates of a batch's rows without a date of their own, by the id in their key.
#[derive(Debug, Default)]
pub struct Undated(HashMap<Arc<str>, Date>);

impl Undated {
    /// Notes a row, `date` being that of its record. Call it in the order of the records.
    pub fn note(&mut self, id: Arc<str>, date: Date) {
        self.0.entry(id).or_insert(date);
    }

    /// Gives rows that are in the table already the date that they have there.
    ///
    /// # Errors
    /// When the table cannot be read now.
    pub async fn look_in<R: TableRow>(&mut self, sink: &TableSink<R>) -> Result<(), Unavailable> {
        let (Some(earliest), Some(latest)) = (self.0.values().min().copied(), self.0.values().max().copied()) else {
            return Ok(());
        };
        let ids: HashSet<Arc<str>> = self.0.keys().cloned().collect();
        let first = earliest.saturating_sub(WINDOW_DAYS.days());
        for (id, there) in sink.dates_of(&ids, first, latest).await? {
            if let Some(date) = self.0.get_mut(&id) {
                *date = there.min(*date);
            }
        }
        Ok(())
    }

    /// The date of a row; `None` if it has one of its own.
    #[must_use]
    pub fn date_of(&self, id: &str) -> Option<Date> {
        self.0.get(id).copied()
    }
}
