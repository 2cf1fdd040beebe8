//! Dates of rows whose event has no timestamp.
//!
//! A row's date is part of its identity: a key is searched only on its own date. An event without a timestamp gets that of
//! its record, which differs when the event is sent again. Therefore the first record decides: a later one takes the date
//! of the existing row, if that lies within [`WINDOW_DAYS`] before it, and then adds no second row.
//!
//! All records of an event are in one partition, so the first one is processed before the others or in the same batch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::sink::TableSink;
use xact_lake::TableRow;
use xact_runtime::Unavailable;

/// Most days between two records of an event without a timestamp. Event Hubs Standard retains records for seven.
pub const WINDOW_DAYS: i32 = 31;

/// The dates of a batch's rows whose event has no timestamp, by the id in their key.
#[derive(Debug, Default)]
pub struct UndatedRows(HashMap<Arc<str>, Date>);

impl UndatedRows {
    /// Adds a row with the date of its record. Rows must be added in the order of their records.
    pub fn insert(&mut self, id: Arc<str>, date: Date) {
        self.0.entry(id).or_insert(date);
    }

    /// Replaces the dates of rows that the table already has by those in the table.
    ///
    /// # Errors
    /// When the table cannot be read now.
    pub async fn use_dates_of<R: TableRow>(&mut self, sink: &TableSink<R>) -> Result<(), Unavailable> {
        let (Some(earliest), Some(latest)) = (self.0.values().min().copied(), self.0.values().max().copied()) else {
            return Ok(());
        };
        let ids: HashSet<Arc<str>> = self.0.keys().cloned().collect();
        let first = earliest.saturating_sub(WINDOW_DAYS.days());
        for (id, existing) in sink.dates_of(&ids, first, latest).await? {
            if let Some(date) = self.0.get_mut(&id) {
                *date = existing.min(*date);
            }
        }
        Ok(())
    }

    /// Returns the date of a row; `None` if its event has a timestamp.
    #[must_use]
    pub fn date_of(&self, id: &str) -> Option<Date> {
        self.0.get(id).copied()
    }
}
