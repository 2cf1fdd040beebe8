//! Finds the rows of some ids, for an operator who looks for one event or one attachment.
//!
//! The cost is that of a key look-up: the bloom filters of the searched dates, and the row groups whose filter matches.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use deltalake::arrow::array::{AsArray, BooleanArray, RecordBatch};
use deltalake::arrow::compute::filter_record_batch;
use deltalake::arrow::error::ArrowError;
use futures::TryStreamExt;
use jiff::civil::Date;

use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::read::filters::Candidates;
use crate::tables::read::lookup::{Lookup, Wanted};
use crate::tables::read::{parquet, scan};
use crate::tables::rows::row::TableRow;
use crate::tables::schema;
use crate::tables::table::Table;

/// The rows that were found, and what was searched.
#[derive(Debug, Clone, Default)]
pub struct FoundRows {
    /// The version of the table.
    pub version: u64,
    /// The dates that were searched.
    pub dates: Vec<Date>,
    /// The data files of these dates.
    pub files: usize,
    /// The rows, in one or several batches.
    pub batches: Vec<RecordBatch>,
}

impl<R: TableRow> Table<R> {
    /// Returns the rows of these ids, with any `replay_count`, on the first of the dates that has one; the dates after it are
    /// not searched. A key has one date, and so have all attachments of an event. `columns` as in [`Table::scan`], with the
    /// key's among them. `None` if the table does not exist.
    ///
    /// # Errors
    /// [`TableError`]; for a column that the table does not have, of the kind [`TableErrorKind::Schema`].
    pub async fn find_rows(
        &self,
        ids: &HashSet<Arc<str>>,
        dates: &[Date],
        columns: &[&str],
    ) -> Result<Option<FoundRows>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(None);
            };
            let lookup = Lookup::<R>::new(&snapshot, &self.filters);
            let wanted = Wanted::ids(ids);
            let schema = schema::table_schema(&snapshot.table)?;
            let schema = scan::projected(&schema, columns).map_err(TableErrorKind::schema)?;
            let mut found = FoundRows {
                version: snapshot.version,
                ..FoundRows::default()
            };
            for date in dates {
                let files = lookup.candidate_files(*date, &wanted).await?;
                found.dates.push(*date);
                found.files += files.len();
                for (file, candidates) in files {
                    let row_groups = match candidates {
                        Candidates::RowGroups(row_groups) if row_groups.is_empty() => continue,
                        Candidates::RowGroups(row_groups) => Some(row_groups),
                        Candidates::File => None,
                    };
                    let batches = parquet::batches_of(&snapshot.table, &file, &schema, row_groups);
                    let mut batches = pin!(batches.await?);
                    while let Some(batch) = batches.try_next().await? {
                        let rows = rows_of::<R>(&batch, ids).map_err(TableErrorKind::schema)?;
                        if rows.num_rows() > 0 {
                            found.batches.push(rows);
                        }
                    }
                }
                if !found.batches.is_empty() {
                    break;
                }
            }
            handle.keep(snapshot);
            Ok(Some(found))
        })
        .await
    }
}

fn rows_of<R: TableRow>(batch: &RecordBatch, ids: &HashSet<Arc<str>>) -> Result<RecordBatch, ArrowError> {
    let keys = batch.column_by_name(R::KEY_COLUMN);
    let keys = keys.and_then(|column| column.as_string_opt::<i32>());
    let missing = || ArrowError::SchemaError(format!("it has no column {:?} of texts", R::KEY_COLUMN));
    let is_wanted = |id: Option<&str>| Some(id.is_some_and(|id| ids.contains(id)));
    let wanted: BooleanArray = keys.ok_or_else(missing)?.iter().map(is_wanted).collect();
    filter_record_batch(batch, &wanted)
}
