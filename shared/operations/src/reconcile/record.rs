//! The record of a reconciliation: a row of `xact_reconciliation` for each date.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::range::TimeRange;
use super::reconciliation::{Findings, Reconciliation, Recorded};
use crate::error::OperationError;
use xact_config::Settings;
use xact_contracts::{ids, time};
use xact_lake::{ReconciliationRow, Sourced, Table};
use xact_table_sink::table;

/// The rows of a reconciliation, and the table that they will be appended to.
pub struct Record {
    table: Table<ReconciliationRow>,
    checked_at: Timestamp,
    rows: BTreeMap<Date, ReconciliationRow>,
}

impl Record {
    /// Returns a record of a reconciliation that begins now. No I/O. A date without events has a row too.
    ///
    /// # Errors
    /// When the range is not of whole dates, or the table is not configured.
    pub fn new(settings: &Settings, range: TimeRange, now: Timestamp) -> Result<Self, OperationError> {
        let checked_at = time::to_microseconds(now);
        let dates = range.whole_dates()?.into_iter();
        Ok(Self {
            table: table(settings)?,
            checked_at,
            rows: dates
                .map(|date| (date, row(date, checked_at, &Findings::default())))
                .collect(),
        })
    }

    /// Sets what was found on a date.
    pub(super) fn add(&mut self, date: Date, findings: &Findings) {
        self.rows.insert(date, row(date, self.checked_at, findings));
    }

    /// Appends the rows in one commit, whatever was found, and notes it in the reconciliation. A repeated append of the same
    /// rows adds nothing.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn append(self, reconciliation: &mut Reconciliation) -> Result<(), OperationError> {
        let dates = self.rows.len();
        #[expect(clippy::cast_precision_loss, reason = "dates of a year")]
        let cu_seconds = reconciliation.cu_seconds.map(|sum| sum / dates as f64);
        let rows = self.rows.into_values().map(|row| Sourced {
            row: ReconciliationRow { cu_seconds, ..row },
            source: None,
        });
        self.table.append(rows.collect(), BTreeMap::new()).await?;
        reconciliation.recorded = Some(Recorded {
            table: self.table.location().to_string(),
            checked_at: self.checked_at,
            rows: dates,
        });
        Ok(())
    }
}

fn row(date: Date, checked_at: Timestamp, findings: &Findings) -> ReconciliationRow {
    let (events, attachments) = (&findings.events, &findings.attachments);
    ReconciliationRow {
        reconciliation_id: ids::reconciliation_id(date, checked_at).to_string(),
        event_date: date,
        checked_at,
        events: number(events.all),
        events_waiting: number(events.waiting),
        events_by_table_alone: number(events.by_table_alone),
        attachments: number(attachments.all),
        completed: number(attachments.completed),
        failed: number(attachments.failed),
        waiting: number(attachments.waiting.values().sum()),
        missing: number(findings.missing.len() as u64),
        duplicate: number(findings.duplicates.len() as u64),
        unreadable: number(findings.unreadable),
        unlisted: number(findings.events_with_unlisted_urls),
        well: findings.is_well(),
        cu_seconds: None,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Delta has signed integers only. No count reaches their maximum.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_config::Environment;

    #[tokio::test]
    async fn a_repeated_append_adds_nothing_and_a_later_check_a_row_for_each_date() {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        let place = folder.path().join("xact_reconciliation").display().to_string();
        environment.set("DELTA_RECONCILIATION_TABLE_PATH", place);
        let settings = Settings::from_environment(&environment).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let range = TimeRange::new(at("2024-12-31T00:00:00Z"), at("2025-01-02T00:00:00Z")).unwrap();
        for (checked_at, rows) in [
            ("2025-01-02T03:00:00Z", 2),
            ("2025-01-02T03:00:00Z", 2),
            ("2025-01-02T03:00:01Z", 4),
        ] {
            let record = Record::new(&settings, range, at(checked_at)).unwrap();
            let mut reconciliation = Reconciliation::new(range, Findings::default(), None);
            record.append(&mut reconciliation).await.unwrap();
            assert_eq!(reconciliation.recorded.map(|recorded| recorded.rows), Some(2));
            let table = table::<ReconciliationRow>(&settings).unwrap();
            assert_eq!(table.info().await.unwrap().unwrap().rows, rows, "{checked_at}");
        }
    }
}
