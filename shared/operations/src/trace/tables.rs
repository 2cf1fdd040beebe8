//! Reads the rows of an event, and searches columns for ids that are no keys.
//!
//! A table that cannot be read is noted, and the others are read. Rows are looked up by the key filters of the dates that the
//! records tell; without records, of the newest dates that the table has.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::civil::Date;
use uuid::Uuid;

use super::answer::{Match, SearchedBy, SearchedTable};
use super::dates::Dates;
use super::query::{IdKind, Query};
use super::reading::{configured, find, noted, noted_as, noted_scan, scan, scan_columns};
use super::row::{AttachmentRowFound, EventRowFound, FailedRowFound};
use crate::columns::{instant, text};
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_contracts::onelake_billing::Bill;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, EventRow, FailedRow, Table, TableRow};

/// The columns of a failed row.
const FAILED_COLUMNS: [&str; 11] = [
    "media_id",
    "trace_id",
    "attachment_url",
    "assignment_id",
    "error_category",
    "error_message",
    "http_status",
    "retry_count",
    "replay_count",
    "failed_at",
    "created_at",
];
/// The columns of a completed row.
const ATTACHMENT_COLUMNS: [&str; 9] = [
    "media_id",
    "trace_id",
    "attachment_url",
    "blob_path",
    "assignment_id",
    "sha256",
    "bytes_downloaded",
    "retry_count",
    "created_at",
];
/// The columns of the row of an event.
const EVENT_COLUMNS: [&str; 8] = [
    "event_id",
    "type",
    "assignment_id",
    "claim_number",
    "event_timestamp",
    "ingested_at",
    "attachments",
    "raw_json",
];

/// The rows of an event. `None`: the table was not read.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub(super) events: Option<Vec<EventRowFound>>,
    pub(super) attachments: Option<Vec<AttachmentRowFound>>,
    pub(super) failed: Option<Vec<FailedRowFound>>,
}

/// Searches the three tables.
pub(super) struct TableSearch {
    events: Option<Table<EventRow>>,
    attachments: Option<Table<AttachmentRow>>,
    failed: Option<Table<FailedRow>>,
    dates: Dates,
    pub(super) searched: Vec<SearchedTable>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

impl TableSearch {
    /// Returns the search. No I/O.
    pub(super) fn new(settings: &Settings, dates: Dates) -> Self {
        let mut unread = Vec::new();
        let search = Self {
            events: configured(settings, &mut unread),
            attachments: configured(settings, &mut unread),
            failed: configured(settings, &mut unread),
            dates,
            searched: Vec::new(),
            unread: Vec::new(),
        };
        Self { unread, ..search }
    }

    /// Returns what all requests cost; `None` if no table is in OneLake.
    pub(super) fn cost(&self) -> Option<OneLakeCost> {
        let bills = [
            self.events.as_ref().and_then(Table::bill),
            self.attachments.as_ref().and_then(Table::bill),
            self.failed.as_ref().and_then(Table::bill),
        ];
        let bills = bills.into_iter().flatten();
        let sum = bills.reduce(|mut sum, bill| {
            sum += &bill;
            sum
        });
        sum.map(|bill: Bill| bill.into())
    }

    /// Returns the rows of an event by its id.
    pub(super) async fn event(&mut self, event_id: Uuid, known: &BTreeSet<Date>) -> Option<Vec<EventRowFound>> {
        let table = self.events.as_ref()?;
        let ids = HashSet::from([Arc::from(event_id.to_string())]);
        let found = find(table, &ids, known, self.dates, &EVENT_COLUMNS).await;
        let found = noted::<EventRow>(found, &mut self.searched, &mut self.unread)?;
        Some(EventRowFound::of_rows(&found))
    }

    /// Returns the completed and the failed rows of attachments by their ids.
    pub(super) async fn attachments(&mut self, media_ids: &BTreeSet<Uuid>, known: &BTreeSet<Date>, rows: &mut Rows) {
        let ids: HashSet<Arc<str>> = media_ids.iter().map(|id| id.to_string().into()).collect();
        if let Some(table) = &self.attachments {
            let found = find(table, &ids, known, self.dates, &ATTACHMENT_COLUMNS).await;
            let found = noted::<AttachmentRow>(found, &mut self.searched, &mut self.unread);
            rows.attachments = found.map(|found| AttachmentRowFound::of_rows(&found));
        }
        if let Some(table) = &self.failed {
            let found = find(table, &ids, known, self.dates, &FAILED_COLUMNS).await;
            let found = noted::<FailedRow>(found, &mut self.searched, &mut self.unread);
            rows.failed = found.map(|found| FailedRowFound::of_rows(&found));
        }
    }

    /// As [`Self::attachments`], by the trace id: the ids of attachments are not known once the raw topic no longer has the event.
    pub(super) async fn attachments_of(&mut self, trace_id: &str, date: Date, rows: &mut Rows) {
        if let Some(table) = &self.attachments {
            let found = scan(table, trace_id, date, &ATTACHMENT_COLUMNS).await;
            let found = noted_as::<AttachmentRow>(found, SearchedBy::Scan, &mut self.searched, &mut self.unread);
            rows.attachments = found.map(|found| AttachmentRowFound::of_rows(&found));
        }
        if let Some(table) = &self.failed {
            let found = scan(table, trace_id, date, &FAILED_COLUMNS).await;
            let found = noted_as::<FailedRow>(found, SearchedBy::Scan, &mut self.searched, &mut self.unread);
            rows.failed = found.map(|found| FailedRowFound::of_rows(&found));
        }
    }

    /// Returns the events whose rows have the id in a column, newest dates first; at most `limit` and one.
    pub(super) async fn matching(&mut self, query: &Query, limit: usize) -> Vec<(IdKind, Match)> {
        let mut matches = Vec::new();
        let by_column = [IdKind::AssignmentId, IdKind::ClaimNumber, IdKind::Url];
        if by_column.into_iter().any(|kind| query.may_be(kind)) {
            let columns = [
                "trace_id",
                "type",
                "assignment_id",
                "claim_number",
                "event_timestamp",
                "attachments",
            ];
            let visit = |batch: &RecordBatch, row: usize| {
                let column = |name| text(batch, name, row);
                let kind = kind_of(
                    query,
                    column("assignment_id"),
                    column("claim_number"),
                    column("attachments"),
                )?;
                Some((kind, Match::of_event(batch, row)))
            };
            if let Some(table) = &self.events {
                let found = scan_columns(table, self.dates, &columns, limit, visit).await;
                matches.extend(noted_scan::<EventRow, _>(found, &mut self.searched, &mut self.unread));
            }
        }
        if query.may_be(IdKind::BlobPath) && query.trace_id().is_none() {
            let columns = ["trace_id", "blob_path", "assignment_id"];
            let visit = |batch: &RecordBatch, row: usize| {
                let is_it = text(batch, "blob_path", row) == query.text;
                is_it.then(|| (IdKind::BlobPath, Match::of_attachment::<AttachmentRow>(batch, row)))
            };
            if let Some(table) = &self.attachments {
                let found = scan_columns(table, self.dates, &columns, limit, visit).await;
                matches.extend(noted_scan::<AttachmentRow, _>(
                    found,
                    &mut self.searched,
                    &mut self.unread,
                ));
            }
        }
        matches
    }

    /// Returns the event of an attachment, and its date.
    pub(super) async fn event_of(&mut self, media_id: Uuid) -> Option<(Match, Date)> {
        let mut rows = Rows::default();
        self.attachments(&BTreeSet::from([media_id]), &BTreeSet::new(), &mut rows)
            .await;
        let completed = rows.attachments.iter().flatten().next();
        let failed = rows.failed.iter().flatten().next();
        let (trace_id, assignment_id, place) = completed
            .map(|row| (&row.trace_id, &row.assignment_id, &row.place))
            .or_else(|| failed.map(|row| (&row.trace_id, &row.assignment_id, &row.place)))?;
        let found = Match {
            trace_id: trace_id.clone(),
            event_timestamp: None,
            event_type: None,
            assignment_id: Some(assignment_id.clone()),
            claim_number: None,
            found_in: place.table.to_owned(),
        };
        Some((found, place.event_date))
    }
}

impl Match {
    fn of_event(batch: &RecordBatch, row: usize) -> Self {
        let column = |name| Some(text(batch, name, row).to_owned()).filter(|text| !text.is_empty());
        Self {
            trace_id: text(batch, "trace_id", row).to_owned(),
            event_timestamp: Some(instant(batch, "event_timestamp", row)),
            event_type: column("type"),
            assignment_id: column("assignment_id"),
            claim_number: column("claim_number"),
            found_in: EventRow::NAME.to_owned(),
        }
    }

    fn of_attachment<R: TableRow>(batch: &RecordBatch, row: usize) -> Self {
        Self {
            trace_id: text(batch, "trace_id", row).to_owned(),
            event_timestamp: None,
            event_type: None,
            assignment_id: Some(text(batch, "assignment_id", row).to_owned()),
            claim_number: None,
            found_in: R::NAME.to_owned(),
        }
    }
}

/// Returns as what a row has the id. The column `attachments` joins URLs with commas, and a URL may contain some.
fn kind_of(query: &Query, assignment_id: &str, claim_number: &str, attachments: &str) -> Option<IdKind> {
    let url = query.redacted_url.as_str();
    let has_url = || {
        attachments.match_indices(url).any(|(at, _)| {
            let (before, behind) = (&attachments[..at], &attachments[at + url.len()..]);
            (before.is_empty() || before.ends_with(',')) && (behind.is_empty() || behind.starts_with(','))
        })
    };
    if query.may_be(IdKind::AssignmentId) && assignment_id == query.text {
        return Some(IdKind::AssignmentId);
    }
    if query.may_be(IdKind::ClaimNumber) && claim_number == query.text {
        return Some(IdKind::ClaimNumber);
    }
    (query.may_be(IdKind::Url) && !url.is_empty() && has_url()).then_some(IdKind::Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_found_among_others_and_not_within_another() {
        let query = |text| Query::parse(text, None, &[]).unwrap_or_else(|error| panic!("{error}"));
        let url = query("https://h/a,b.pdf?sig=x");
        for (attachments, expected) in [
            ("https://h/a,b.pdf", Some(IdKind::Url)),
            ("https://h/x.pdf,https://h/a,b.pdf,https://h/y.pdf", Some(IdKind::Url)),
            ("https://h/a,b.pdf2", None),
            ("https://h/redirect?https://h/a,b.pdf", None),
            ("", None),
        ] {
            assert_eq!(kind_of(&url, "", "", attachments), expected, "{attachments}");
        }
        assert_eq!(kind_of(&query("A1"), "A1", "A1", ""), Some(IdKind::AssignmentId));
        assert_eq!(kind_of(&query("C1"), "A1", "C1", ""), Some(IdKind::ClaimNumber));
    }
}
