//! The rows of `xact_reconciliation`: what was found on each date, and when.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::columns::{date, flag, instant, optional_float, size, text};
use crate::error::OperationError;
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_contracts::ids;
use xact_lake::ReconciliationRow;
use xact_lake::arrow::array::RecordBatch;
use xact_table_sink::table;

/// The columns that are read: all but the key, which follows from two of them.
const COLUMNS: [&str; 16] = [
    "event_date",
    "checked_at",
    "events",
    "events_waiting",
    "events_by_table_alone",
    "attachments",
    "completed",
    "failed",
    "waiting",
    "missing",
    "duplicate",
    "unreadable",
    "unlisted",
    "well",
    "cu_seconds",
    "program_version",
];

/// The recorded reconciliations of a range of dates.
#[derive(Debug)]
pub struct History {
    /// The location of the table.
    pub location: String,
    /// Whether the table exists: the first `reconcile --record` creates it.
    pub exists: bool,
    /// The rows, by date, and those of a date with the newest check first.
    pub rows: Vec<ReconciliationRow>,
    /// Data files that were read: those of the dates and no others.
    pub files: usize,
    /// `None` for a local table.
    pub cost: Option<OneLakeCost>,
}

impl History {
    /// Returns the newest row of each date that has one.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<Date, &ReconciliationRow> {
        let mut newest = BTreeMap::new();
        for row in &self.rows {
            newest.entry(row.event_date).or_insert(row);
        }
        newest
    }
}

/// Returns the recorded reconciliations from one date to another, both included. It reads the log of the table and the files of
/// these dates, of which each check has written one.
///
/// # Errors
/// When the table is not configured, or cannot be read.
pub async fn history(settings: &Settings, first: Date, last: Date) -> Result<History, OperationError> {
    let table = table::<ReconciliationRow>(settings)?;
    let found = table.rows_of_dates(&COLUMNS, first, last).await?;
    let exists = found.is_some();
    let found = found.unwrap_or_default();
    let mut rows: Vec<ReconciliationRow> = found.batches.iter().flat_map(rows_of).collect();
    rows.sort_by(|a, b| (a.event_date, b.checked_at).cmp(&(b.event_date, a.checked_at)));
    Ok(History {
        location: table.location().to_string(),
        exists,
        rows,
        files: found.files,
        cost: table.bill().map(OneLakeCost::from),
    })
}

fn rows_of(batch: &RecordBatch) -> impl Iterator<Item = ReconciliationRow> + '_ {
    (0..batch.num_rows()).map(|row| {
        let count = |column| size(batch, column, row).max(0);
        let (event_date, checked_at) = (date(batch, "event_date", row), instant(batch, "checked_at", row));
        ReconciliationRow {
            reconciliation_id: ids::reconciliation_id(event_date, checked_at).to_string(),
            event_date,
            checked_at,
            events: count("events"),
            events_waiting: count("events_waiting"),
            events_by_table_alone: count("events_by_table_alone"),
            attachments: count("attachments"),
            completed: count("completed"),
            failed: count("failed"),
            waiting: count("waiting"),
            missing: count("missing"),
            duplicate: count("duplicate"),
            unreadable: count("unreadable"),
            unlisted: count("unlisted"),
            well: flag(batch, "well", row),
            cu_seconds: optional_float(batch, "cu_seconds", row),
            program_version: text(batch, "program_version", row).to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::{Timestamp, ToSpan};

    use super::*;
    use xact_config::Environment;
    use xact_lake::Sourced;

    fn settings(folder: &std::path::Path) -> Settings {
        let mut environment = Environment::default();
        let place = folder.join("xact_reconciliation").display().to_string();
        environment.set("DELTA_RECONCILIATION_TABLE_PATH", place);
        Settings::from_environment(&environment).unwrap()
    }

    fn row(date: Date, hour: i8, missing: i64) -> ReconciliationRow {
        let checked_at = date.tomorrow().unwrap().at(hour, 30, 0, 0);
        let checked_at: Timestamp = checked_at.in_tz("UTC").unwrap().timestamp();
        ReconciliationRow {
            reconciliation_id: ids::reconciliation_id(date, checked_at).to_string(),
            event_date: date,
            checked_at,
            events: 1,
            events_waiting: 2,
            events_by_table_alone: 3,
            attachments: 4,
            completed: 5,
            failed: 6,
            waiting: 7,
            missing,
            duplicate: 9,
            unreadable: 10,
            unlisted: 11,
            well: missing == 0,
            cu_seconds: (hour == 4).then_some(0.5),
            program_version: "0.2.0".to_owned(),
        }
    }

    fn sourced(row: ReconciliationRow) -> Sourced<ReconciliationRow> {
        Sourced { row, source: None }
    }

    #[tokio::test]
    async fn rows_are_read_as_they_were_written_and_the_newest_check_of_a_date_counts() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let day = Date::constant(2026, 11, 29);
        let none = history(&settings, day, day).await.unwrap();
        assert!(!none.exists && none.rows.is_empty(), "{none:?}");
        // The later check is not the later commit.
        let written = [row(day, 5, 0), row(day, 4, 8), row(day.tomorrow().unwrap(), 4, 8)];
        for row in &written {
            let table = table::<ReconciliationRow>(&settings).unwrap();
            let rows = vec![sourced(row.clone())];
            table.append(rows, BTreeMap::new()).await.unwrap();
        }
        let found = history(&settings, day, day.tomorrow().unwrap()).await.unwrap();
        assert_eq!((found.exists, found.files, &found.rows[..]), (true, 3, &written[..]));
        let newest = found.newest();
        assert_eq!(newest[&day], &written[0]);
        assert_eq!(newest.len(), 2);
        let other = history(&settings, day, day).await.unwrap();
        assert_eq!((other.files, other.rows.len()), (2, 2));
    }

    #[tokio::test]
    async fn a_month_of_a_year_reads_the_files_of_its_dates_alone() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let table = table::<ReconciliationRow>(&settings).unwrap();
        let dates = || Date::constant(2026, 1, 1).series(1.day()).take(365);
        // Three checks of each date. Each check writes a file for each of its dates.
        for hour in [4, 5, 6] {
            for month in dates().collect::<Vec<_>>().chunks(31) {
                let rows = month.iter().map(|date| sourced(row(*date, hour, 0))).collect();
                table.append(rows, BTreeMap::new()).await.unwrap();
            }
        }
        let (first, last) = (Date::constant(2026, 11, 1), Date::constant(2026, 11, 30));
        let begun = Instant::now();
        let month = history(&settings, first, last).await.unwrap();
        println!("a month of a year with 1,095 rows: {:?}", begun.elapsed());
        assert_eq!((month.files, month.rows.len(), month.newest().len()), (90, 90, 30));
    }
}
