//! Reading rows back, for verification and reconciliation. No handler reads tables this way.

use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::{ArrayRef, Date32Array, RecordBatch, new_null_array};
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use futures::TryStreamExt;
use jiff::civil::Date;

use crate::parquet_read::{self, DataFile};
use crate::rows::{EVENT_DATE, days_since_epoch};
use crate::{Table, TableError, TableRow, schema};

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

    async fn read(&self, columns: &[&str], dates: Option<(Date, Date)>) -> Result<Vec<RecordBatch>, TableError> {
        let (table, at) = {
            let mut handle = self.handle.lock().await;
            match handle.refresh::<R>(&self.options).await? {
                Some(table) => (table, handle.at.clone()),
                None => return Ok(Vec::new()),
            }
        };
        let schema = schema::table_schema(&table, &at)?;
        let schema = projected(&schema, columns).map_err(|error| TableError::schema(&at, error))?;
        let mut batches = Vec::new();
        for file in parquet_read::files_between(&table, &at, dates).await? {
            batches.extend(read_file(&table, &at, &file, &schema).await?);
        }
        Ok(batches)
    }
}

async fn read_file(
    table: &DeltaTable,
    at: &str,
    file: &DataFile,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>, TableError> {
    let damaged = |error| TableError::parquet(at, file.path.as_ref(), &error);
    let reader = parquet_read::open(table.object_store(), file, at).await?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let columns = parquet_read::columns_named(reader.parquet_schema(), &names);
    let mut read = reader.with_projection(columns).build().map_err(damaged)?;
    let mut batches = Vec::new();
    while let Some(batch) = read.try_next().await.map_err(damaged)? {
        let batch = in_order(&batch, file.date, schema);
        batches.push(batch.map_err(|error| TableError::schema(at, format!("{}: {error}", file.path)))?);
    }
    Ok(batches)
}

/// The file's columns in the order asked for; the partition column comes from the log, and what the file does not have is null.
fn in_order(batch: &RecordBatch, date: Option<Date>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let column = |name: &str| -> Result<ArrayRef, ArrowError> {
        if name == EVENT_DATE {
            let dates: Date32Array = std::iter::repeat_n(date.map(days_since_epoch), rows).collect();
            return Ok(Arc::new(dates));
        }
        match batch.column_by_name(name) {
            Some(column) => schema::as_declared(column, schema, name),
            None => Ok(new_null_array(schema.field_with_name(name)?.data_type(), rows)),
        }
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| column(field.name()))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
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
