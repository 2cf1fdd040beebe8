//! Opening the data files of a table: which there are, and a reader over one.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::arrow::array::{ArrayRef, Date32Array, RecordBatch, new_null_array};
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::LogicalFileView;
use deltalake::logstore::object_store::{ObjectStore, ObjectStoreExt, path::Path};
use deltalake::parquet::arrow::arrow_reader::ArrowReaderOptions;
use deltalake::parquet::arrow::async_reader::AsyncFileReader;
use deltalake::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use deltalake::parquet::errors::{ParquetError, Result as ParquetResult};
use deltalake::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use deltalake::parquet::schema::types::SchemaDescriptor;
use deltalake::{DeltaTable, FilterOp, FilterValue};
use futures::future::{BoxFuture, ready};
use futures::{Stream, TryStreamExt};
use jiff::civil::Date;

use crate::rows::{EVENT_DATE, days_since_epoch};
use crate::{TableError, schema};

/// Fetched from a file's end in one request. Enough for the footer of the files that we write.
const FOOTER_BYTES: usize = 32 * 1024;

/// A data file of the table.
pub(crate) struct DataFile {
    /// Relative to the table.
    pub(crate) path: Path,
    pub(crate) bytes: u64,
    /// `None` if its writer did not count them.
    pub(crate) rows: Option<usize>,
    /// `None` for the null partition, which others may have made.
    pub(crate) date: Option<Date>,
    /// As the log has it.
    pub(crate) view: LogicalFileView,
}

/// The active files of the dates in a range, both ends included, as of the table's loaded version.
pub(crate) async fn files_between(
    table: &DeltaTable,
    at: &str,
    range: Option<(Date, Date)>,
) -> Result<Vec<DataFile>, TableError> {
    let range = range.map(|(from, to)| (from.to_string(), to.to_string()));
    let filters = match &range {
        None => vec![],
        Some((from, to)) if from == to => {
            vec![(EVENT_DATE, FilterOp::Eq, FilterValue::Scalar(from))]
        }
        Some((from, to)) => {
            vec![
                (EVENT_DATE, FilterOp::Ge, FilterValue::Scalar(from)),
                (EVENT_DATE, FilterOp::Le, FilterValue::Scalar(to)),
            ]
        }
    };
    let views: Vec<LogicalFileView> = table
        .get_active_add_actions_by_partitions(&filters)
        .try_collect()
        .await
        .map_err(|error| TableError::delta(at, "read the file list of", &error))?;
    views.into_iter().map(|view| data_file(view, at)).collect()
}

fn data_file(view: LogicalFileView, at: &str) -> Result<DataFile, TableError> {
    let path = view.object_store_path();
    if view.deletion_vector_descriptor().is_some() {
        return Err(TableError::schema(
            at,
            format!(
                "{path} has a deletion vector, which is not read here: rewrite it (REORG TABLE … APPLY (PURGE)) and set delta.enableDeletionVectors to false"
            ),
        ));
    }
    let date = match view.partition_values_map().remove(EVENT_DATE).flatten() {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|error| TableError::corrupt(at, format!("{path} has the partition {text:?}: {error}")))?,
        ),
    };
    let bytes = u64::try_from(view.size())
        .map_err(|_| TableError::corrupt(at, format!("{path} has the size {}", view.size())))?;
    Ok(DataFile {
        path,
        bytes,
        rows: view.num_records(),
        date,
        view,
    })
}

/// All rows of a file, batch by batch, in the form that the table declares: its columns in their order, the partition
/// column from the log, and null for what the file does not have.
pub(crate) async fn batches<'a>(
    table: &DeltaTable,
    at: &'a str,
    file: &'a DataFile,
    schema: &'a SchemaRef,
) -> Result<impl Stream<Item = Result<RecordBatch, TableError>> + Send + Unpin + 'a, TableError> {
    let damaged = |error| TableError::parquet(at, file.path.as_ref(), &error);
    let reader = open(table.object_store(), file, at).await?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let columns = columns_named(reader.parquet_schema(), &names);
    let read = reader.with_projection(columns).build().map_err(damaged)?;
    Ok(read.map_err(damaged).and_then(move |batch| {
        let batch = in_order(&batch, file.date, schema);
        ready(batch.map_err(|error| TableError::schema(at, format!("{}: {error}", file.path))))
    }))
}

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

/// The builder of a reader over a data file.
pub(crate) type Reader = ParquetRecordBatchStreamBuilder<FileReader>;

/// Opens a file: its footer is read.
pub(crate) async fn open(store: Arc<dyn ObjectStore>, file: &DataFile, at: &str) -> Result<Reader, TableError> {
    let reader = FileReader {
        store,
        path: file.path.clone(),
        bytes: file.bytes,
    };
    // The types that the file's writer noted for itself are not ours: the parquet types are cast to the table's.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    Reader::new_with_options(reader, options)
        .await
        .map_err(|error| TableError::parquet(at, file.path.as_ref(), &error))
}

/// Byte ranges of an object. Its size is known from the log, which saves a request; and Azure knows no ranges from the end.
pub(crate) struct FileReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        Box::pin(async move { self.store.get_range(&self.path, range).await.map_err(external) })
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        Box::pin(async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        Box::pin(async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .with_prefetch_hint(Some(FOOTER_BYTES));
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        })
    }
}

fn external(error: deltalake::ObjectStoreError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// The columns of these names that the file has.
pub(crate) fn columns_named(schema: &SchemaDescriptor, names: &[&str]) -> ProjectionMask {
    ProjectionMask::columns(schema, names.iter().copied())
}
