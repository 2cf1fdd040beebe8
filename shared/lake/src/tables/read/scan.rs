//! Reads rows back, for verification and reconciliation. No stage reads tables this way.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use futures::TryStreamExt;
use jiff::civil::Date;

use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::read::parquet;
use crate::tables::rows::row::{EVENT_DATE, TableRow};
use crate::tables::schema;
use crate::tables::table::Table;

impl<R: TableRow> Table<R> {
    /// Returns some columns of all rows, in the order given and with the table's types; `event_date` is added at the end
    /// if it is not among them. No columns: all of them. A table that does not exist is empty. Everything is held in
    /// memory.
    ///
    /// # Errors
    /// [`TableError`]; for a column that the table does not have, of the kind [`TableErrorKind::Schema`].
    pub async fn scan(&self, columns: &[&str]) -> Result<Vec<RecordBatch>, TableError> {
        let mut batches = Vec::new();
        let keep = |batch: &RecordBatch| batches.push(batch.clone());
        self.located(self.visit(columns, None, keep)).await?;
        Ok(batches)
    }

    /// Calls `visit` with some columns of the rows of one date, batch by batch: one batch at a time is in memory. All are
    /// of one version of the table.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub async fn for_each_batch(
        &self,
        columns: &[&str],
        date: Date,
        visit: impl FnMut(&RecordBatch) + Send,
    ) -> Result<(), TableError> {
        self.located(self.visit(columns, Some((date, date)), visit)).await
    }

    /// Returns the dates for which the table has files now. Only its log is read.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn dates(&self) -> Result<BTreeSet<Date>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(BTreeSet::new());
            };
            let files = snapshot.files_between(None);
            handle.keep(snapshot);
            Ok(files.iter().filter_map(|file| file.date).collect())
        })
        .await
    }

    async fn visit(
        &self,
        columns: &[&str],
        dates: Option<(Date, Date)>,
        mut visit: impl FnMut(&RecordBatch) + Send,
    ) -> Result<(), TableErrorKind> {
        let mut handle = self.handle.lock().await;
        let Some(snapshot) = handle.latest().await? else {
            return Ok(());
        };
        let (table, files) = (snapshot.table.clone(), snapshot.files_between(dates));
        handle.keep(snapshot);
        drop(handle);
        let schema = schema::table_schema(&table)?;
        let schema = projected(&schema, columns).map_err(TableErrorKind::schema)?;
        for file in files {
            let mut batches = pin!(parquet::batches(&table, &file, &schema).await?);
            while let Some(batch) = batches.try_next().await? {
                visit(&batch);
            }
        }
        Ok(())
    }
}

pub(crate) fn projected(table: &Schema, columns: &[&str]) -> Result<SchemaRef, ArrowError> {
    if columns.is_empty() {
        return Ok(Arc::new(table.clone()));
    }
    let date = (!columns.contains(&EVENT_DATE)).then_some(EVENT_DATE);
    let names = columns.iter().copied().chain(date);
    let fields: Result<Vec<_>, _> = names.map(|name| table.field_with_name(name).cloned()).collect();
    Ok(Arc::new(Schema::new(fields?)))
}
