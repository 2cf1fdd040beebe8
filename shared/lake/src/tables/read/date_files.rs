//! The data files of one date, and the rows of some of them, for callers that remember what they have read: files never change.

use std::pin::pin;

use deltalake::arrow::array::RecordBatch;
use futures::TryStreamExt;
use jiff::civil::Date;

use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::read::parquet;
use crate::tables::read::scan::projected;
use crate::tables::rows::row::TableRow;
use crate::tables::schema;
use crate::tables::snapshot::DataFile;
use crate::tables::table::Table;

/// A data file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFile {
    /// Its path within the table, which no other file ever has.
    pub path: String,
    /// Its rows; `None` if its writer did not count them.
    pub rows: Option<usize>,
    /// Its size.
    pub bytes: u64,
    /// When it was written, in milliseconds since the epoch.
    pub written_at: i64,
}

impl DateFile {
    fn of(file: &DataFile) -> Self {
        Self {
            path: file.path.to_string(),
            rows: file.rows,
            bytes: file.bytes,
            written_at: file.written_at,
        }
    }
}

impl<R: TableRow> Table<R> {
    /// Returns the data files of a date, the newest first, and calls `visit` with some columns of the rows of those that are
    /// wanted, batch by batch. Only the log is read to list the files; one that is read takes a request, or two if it is larger than 64 KB.
    /// A table that does not exist has none. Files with rows that another program marked as deleted are not read.
    ///
    /// # Errors
    /// [`TableError`]; for a column that the table does not have, of the kind [`TableErrorKind::Schema`].
    pub async fn visit_files(
        &self,
        columns: &[&str],
        date: Date,
        is_wanted: impl FnMut(&DateFile) -> bool + Send,
        visit: impl FnMut(&DateFile, &RecordBatch) + Send,
    ) -> Result<Vec<DateFile>, TableError> {
        self.located(self.visit_data_files(columns, date, is_wanted, visit))
            .await
    }

    async fn visit_data_files(
        &self,
        columns: &[&str],
        date: Date,
        mut is_wanted: impl FnMut(&DateFile) -> bool + Send,
        mut visit: impl FnMut(&DateFile, &RecordBatch) + Send,
    ) -> Result<Vec<DateFile>, TableErrorKind> {
        let mut handle = self.handle.lock().await;
        let Some(snapshot) = handle.latest().await? else {
            return Ok(Vec::new());
        };
        let (table, mut files) = (snapshot.table.clone(), snapshot.files_between(Some((date, date))));
        handle.keep(snapshot);
        drop(handle);
        files.sort_by(|one, other| (other.written_at, &other.path).cmp(&(one.written_at, &one.path)));
        let listed: Vec<DateFile> = files.iter().map(|file| DateFile::of(file)).collect();
        let schema = schema::table_schema(&table)?;
        let schema = projected(&schema, columns).map_err(TableErrorKind::schema)?;
        for (file, listed) in files.iter().zip(&listed) {
            if file.has_deletion_vector || !is_wanted(listed) {
                continue;
            }
            let mut batches = pin!(parquet::batches(&table, file, &schema).await?);
            while let Some(batch) = batches.try_next().await? {
                visit(listed, &batch);
            }
        }
        Ok(listed)
    }
}
