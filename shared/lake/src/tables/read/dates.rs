//! Reads the rows of a range of dates, for tables whose dates have few rows each.

use deltalake::arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;

use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::read::{parquet, scan};
use crate::tables::rows::row::TableRow;
use crate::tables::schema;
use crate::tables::table::Table;

/// Most files that are read at the same time.
const MAX_FILES_AT_ONCE: usize = 8;

/// The rows of a range of dates, and what was read for them.
#[derive(Debug, Clone, Default)]
pub struct RowsOfDates {
    /// The version of the table.
    pub version: u64,
    /// The data files of these dates. No others were read.
    pub files: usize,
    /// The rows, in one or several batches.
    pub batches: Vec<RecordBatch>,
}

impl<R: TableRow> Table<R> {
    /// Returns some columns of the rows from one date to another, both included. `columns` as in [`Table::scan`]. `None` if the
    /// table does not exist. Everything is held in memory, and several files are read at once: this is for small files.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub async fn rows_of_dates(
        &self,
        columns: &[&str],
        first: Date,
        last: Date,
    ) -> Result<Option<RowsOfDates>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(None);
            };
            let (table, version) = (snapshot.table.clone(), snapshot.version);
            let files = snapshot.files_between(Some((first, last)));
            handle.keep(snapshot);
            drop(handle);
            let schema = schema::table_schema(&table)?;
            let schema = scan::projected(&schema, columns).map_err(TableErrorKind::schema)?;
            let (table, schema) = (&table, &schema);
            let reads: Vec<_> = files
                .iter()
                .map(|file| async move {
                    let batches = parquet::batches(table, file, schema).await?;
                    batches.try_collect::<Vec<RecordBatch>>().await
                })
                .collect();
            let batches: Vec<Vec<RecordBatch>> = stream::iter(reads).buffered(MAX_FILES_AT_ONCE).try_collect().await?;
            Ok(Some(RowsOfDates {
                version,
                files: files.len(),
                batches: batches.into_iter().flatten().collect(),
            }))
        })
        .await
    }
}
