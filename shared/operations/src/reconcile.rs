//! Reconciles the events of a time range: is every attachment of every event in exactly one place?
//!
//! - `topics`: the events that were sent, and the records that stages have not finished
//! - `tables`: the rows
//! - `record`, `history`: writes and reads the rows of `xact_reconciliation`
//! - `day`: all of one date, filled by these two; `expected`: its events; `verdict`: what is missing or duplicate
//!
//! An attachment must be a row of `xact_attachments` or `xact_attachments_failed`, or still be in a topic. Memory is that of
//! one date: some hundred bytes per attachment.

mod day;
mod expected;
mod history;
mod range;
mod reconciliation;
mod record;
mod tables;
mod topics;
mod verdict;

pub(crate) use expected::split_attachments;
pub use history::{History, history};
pub use range::TimeRange;
pub use reconciliation::{AttachmentCounts, Duplicate, EventCounts, Findings, Missing, Reconciliation, Recorded};
pub use record::Record;

use jiff::civil::Date;

use crate::blocking::blocking;
use crate::error::OperationError;
use tables::Tables;
use topics::FromTopics;
use xact_config::Settings;

/// Reconciles the events of a time range, and adds what was found on each date to the record, if there is one. The pipeline
/// may run meanwhile.
///
/// # Errors
/// When a topic or a table cannot be read.
pub async fn reconcile(
    settings: &Settings,
    range: TimeRange,
    mut record: Option<&mut Record>,
) -> Result<Reconciliation, OperationError> {
    let tables = Tables::open(settings)?;
    let mut all = Findings::default();
    let mut add = |date: Date, findings: Findings| {
        if let Some(record) = &mut record {
            record.add(date, &findings);
        }
        all.add(findings);
    };
    if range.first_date() == range.last_date() {
        let date = range.first_date();
        add(date, of_date(settings, &tables, date, range, None).await?);
    } else {
        of_dates(settings, &tables, range, add).await?;
    }
    Ok(Reconciliation::new(range, all, tables.cu_seconds()))
}

/// Reconciles several dates. Reading the topics takes seconds and only some dates have records there, so the other dates are
/// reconciled with the tables and one common reading of the dead letters.
async fn of_dates(
    settings: &Settings,
    tables: &Tables,
    range: TimeRange,
    mut add: impl FnMut(Date, Findings),
) -> Result<(), OperationError> {
    let reading = {
        let settings = settings.clone();
        blocking(move || topics::dates(&settings, range))
    };
    let (in_topics, dead_letters) = reading.await?;
    let in_tables = tables.dates().await?;
    let dates = in_topics.union(&in_tables).copied();
    for date in dates.filter(|date| range.touches(*date)) {
        let by_tables = if in_topics.contains(&date) {
            None
        } else {
            Some(of_date(settings, tables, date, range, Some(dead_letters.clone())).await?)
        };
        let findings = match by_tables.filter(Findings::is_well) {
            Some(findings) => findings,
            // An event that arrived after the topics were read seems to lack what is still in them: read them again.
            None => of_date(settings, tables, date, range, None).await?,
        };
        add(date, findings);
    }
    Ok(())
}

/// Reconciles a date with what the topics hold of it; `None`: they are read.
async fn of_date(
    settings: &Settings,
    tables: &Tables,
    date: Date,
    range: TimeRange,
    in_topics: Option<FromTopics>,
) -> Result<Findings, OperationError> {
    // The rows that exist before the topics are read: see `Tables::known_events`.
    let known = tables.known_events(date).await?;
    let settings = settings.clone();
    let FromTopics { mut day, unfinished } = match in_topics {
        Some(in_topics) => in_topics,
        None => blocking(move || topics::read(&settings, date, range)).await?,
    };
    tables.read(date, range, &known, unfinished, &mut day).await?;
    Ok(day.verdict())
}
