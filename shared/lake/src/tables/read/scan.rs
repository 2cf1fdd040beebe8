//! Reading rows back, for verification and reconciliation. No handler reads tables this way.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use futures::TryStreamExt;
use jiff::civil::Date;

use crate::tables::error::TableError;
use crate::tables::read::parquet;
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::rows::row::TableRow;
use crate::tables::schema;
use crate::tables::table::Table;

impl<R: TableRow> Table<R> {
    /// Some columns of all rows, in the order given and with the table's types; `event_date` is added at the end if it is
    /// not among them. No columns: all of them. A table that is not there yet is empty. Everything is held in memory.
    ///
    /// # Errors
    /// [`TableError`]; a column that the table does not have is [`TableError::Schema`].
    pub async fn scan(&self, columns: &[&str]) -> Result<Vec<RecordBatch>, TableError> {
        self.read(columns, None).await
    }

    /// [`Table::scan`] of the dates from `from` to `to`, both included; files of other dates are not opened.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub async fn scan_dates(&self, columns: &[&str], from: Date, to: Date) -> Result<Vec<RecordBatch>, TableError> {
        self.read(columns, Some((from, to))).await
    }

    /// Hands some columns of the rows of one date to `visit`, batch by batch: memory is that of one batch. All are of one
    /// version of the table.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub async fn for_each_batch(
        &self,
        columns: &[&str],
        date: Date,
        visit: impl FnMut(&RecordBatch) + Send,
    ) -> Result<(), TableError> {
        self.visit(columns, Some((date, date)), visit).await
    }

    /// The dates of which the table has files, now. Only its log is read.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn dates(&self) -> Result<BTreeSet<Date>, TableError> {
        let mut handle = self.handle.lock().await;
        let Some(snapshot) = handle.latest::<R>(&self.options).await? else {
            return Ok(BTreeSet::new());
        };
        let dates = snapshot
            .files_between(None)
            .iter()
            .filter_map(|file| file.date)
            .collect();
        handle.keep(snapshot);
        Ok(dates)
    }

    async fn read(&self, columns: &[&str], dates: Option<(Date, Date)>) -> Result<Vec<RecordBatch>, TableError> {
        let mut batches = Vec::new();
        self.visit(columns, dates, |batch| batches.push(batch.clone())).await?;
        Ok(batches)
    }

    async fn visit(
        &self,
        columns: &[&str],
        dates: Option<(Date, Date)>,
        mut visit: impl FnMut(&RecordBatch) + Send,
    ) -> Result<(), TableError> {
        let (table, files) = {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest::<R>(&self.options).await? else {
                return Ok(());
            };
            let found = (snapshot.table.clone(), snapshot.files_between(dates));
            handle.keep(snapshot);
            found
        };
        let at = &self.location.to_string();
        let schema = schema::table_schema(&table, at)?;
        let schema = projected(&schema, columns).map_err(|error| TableError::schema(at, error))?;
        for file in files {
            let mut read = std::pin::pin!(parquet::batches(&table, at, &file, &schema).await?);
            while let Some(batch) = read.try_next().await? {
                visit(&batch);
            }
        }
        Ok(())
    }
}

fn projected(table: &Schema, columns: &[&str]) -> Result<SchemaRef, ArrowError> {
    if columns.is_empty() {
        return Ok(Arc::new(table.clone()));
    }
    let date = (!columns.contains(&EVENT_DATE)).then_some(EVENT_DATE);
    let fields = columns
        .iter()
        .copied()
        .chain(date)
        .map(|name| table.field_with_name(name).cloned());
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?)))
}
