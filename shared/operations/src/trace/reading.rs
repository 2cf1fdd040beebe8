//! Reads one table: rows by id, rows of one date, columns of many dates. Each notes what was searched, or why not.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::answer::{SearchedBy, SearchedTable};
use super::dates::Dates;
use crate::columns::text;
use crate::error::OperationError;
use xact_config::Settings;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{FoundRows, Table, TableRow};
use xact_table_sink::{Configured, table};

pub(super) fn configured<R: Configured>(settings: &Settings, unread: &mut Vec<String>) -> Option<Table<R>> {
    if !settings.delta_writes && R::path(settings).is_empty() {
        return None;
    }
    match table(settings) {
        Ok(table) => Some(table),
        Err(error) => {
            unread.push(format!("table {}: {error}", R::NAME));
            None
        }
    }
}

pub(super) async fn find<R: TableRow>(
    table: &Table<R>,
    ids: &HashSet<Arc<str>>,
    known: &BTreeSet<Date>,
    chosen: Dates,
    columns: &[&str],
) -> Result<Option<FoundRows>, OperationError> {
    let Some(contents) = table.contents().await? else {
        return Ok(None);
    };
    let dates = if known.is_empty() {
        chosen.of(contents.dates.keys())
    } else {
        known
            .iter()
            .rev()
            .copied()
            .filter(|date| contents.dates.contains_key(date))
            .collect()
    };
    Ok(table.find_rows(ids, &dates, columns).await?)
}

/// Reads the rows of one date that have this trace id.
pub(super) async fn scan<R: TableRow>(
    table: &Table<R>,
    trace_id: &str,
    date: Date,
    columns: &[&str],
) -> Result<Option<FoundRows>, OperationError> {
    let Some(contents) = table.contents().await? else {
        return Ok(None);
    };
    let mut found = FoundRows {
        version: contents.version,
        dates: vec![date],
        files: contents.dates.get(&date).map_or(0, |date| date.files),
        batches: Vec::new(),
    };
    let visit = |batch: &RecordBatch| {
        for row in (0..batch.num_rows()).filter(|row| text(batch, "trace_id", *row) == trace_id) {
            found.batches.push(batch.slice(row, 1));
        }
    };
    table.for_each_batch(columns, date, visit).await?;
    Ok(Some(found))
}

/// Matches, and what was searched for them.
type Scanned<T> = (Vec<T>, SearchedTable);

/// Visits the rows of the chosen dates, until more than `limit` were found.
pub(super) async fn scan_columns<R: TableRow, T: Send>(
    table: &Table<R>,
    chosen: Dates,
    columns: &[&str],
    limit: usize,
    visit: impl Fn(&RecordBatch, usize) -> Option<T> + Send + Sync,
) -> Result<Scanned<T>, OperationError> {
    let mut searched = SearchedTable {
        table: R::NAME,
        version: None,
        by: SearchedBy::Scan,
        dates: Vec::new(),
        files: 0,
    };
    let mut found = Vec::new();
    let Some(contents) = table.contents().await? else {
        return Ok((found, searched));
    };
    searched.version = Some(contents.version);
    for date in chosen.of(contents.dates.keys()) {
        table
            .for_each_batch(columns, date, |batch| {
                let room = (limit + 1).saturating_sub(found.len());
                found.extend((0..batch.num_rows()).filter_map(|row| visit(batch, row)).take(room));
            })
            .await?;
        searched.dates.push(date);
        searched.files += contents.dates.get(&date).map_or(0, |date| date.files);
        if found.len() > limit {
            break;
        }
    }
    Ok((found, searched))
}

pub(super) fn noted<R: TableRow>(
    found: Result<Option<FoundRows>, OperationError>,
    searched: &mut Vec<SearchedTable>,
    unread: &mut Vec<String>,
) -> Option<FoundRows> {
    noted_as::<R>(found, SearchedBy::Key, searched, unread)
}

/// Notes what was searched, or why not. A table that does not exist has no rows.
pub(super) fn noted_as<R: TableRow>(
    found: Result<Option<FoundRows>, OperationError>,
    by: SearchedBy,
    searched: &mut Vec<SearchedTable>,
    unread: &mut Vec<String>,
) -> Option<FoundRows> {
    match found {
        Ok(found) => {
            let version = found.as_ref().map(|found| found.version);
            let found = found.unwrap_or_default();
            searched.push(SearchedTable {
                table: R::NAME,
                version,
                by,
                dates: found.dates.clone(),
                files: found.files,
            });
            Some(found)
        }
        Err(error) => {
            unread.push(format!("table {}: {error}", R::NAME));
            None
        }
    }
}

pub(super) fn noted_scan<R: TableRow, T>(
    found: Result<Scanned<T>, OperationError>,
    searched: &mut Vec<SearchedTable>,
    unread: &mut Vec<String>,
) -> Vec<T> {
    match found {
        Ok((found, what)) => {
            searched.push(what);
            found
        }
        Err(error) => {
            unread.push(format!("table {}: {error}", R::NAME));
            Vec::new()
        }
    }
}
