//! Opens and decodes a data file of a table.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::arrow::array::{ArrayRef, Date32Array, RecordBatch, new_null_array};
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::arrow::error::ArrowError;
use deltalake::logstore::object_store::{ObjectStore, ObjectStoreExt, path::Path};
use deltalake::parquet::arrow::arrow_reader::ArrowReaderOptions;
use deltalake::parquet::arrow::async_reader::AsyncFileReader;
use deltalake::parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use deltalake::parquet::errors::{ParquetError, Result as ParquetResult};
use deltalake::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use futures::future::{BoxFuture, ready};
use futures::{Stream, TryStreamExt};
use jiff::civil::Date;

use crate::tables::error::TableErrorKind;
use crate::tables::rows::columns::days_since_epoch;
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::snapshot::DataFile;
use crate::tables::{features, schema};

/// Read from the end of a file in one request: the footer of the files that this crate writes, and the filters before it.
const TAIL_BYTES: u64 = 64 * 1024;

/// Returns all rows of a file, batch by batch, in the table's form: its columns in their order, the partition column from
/// the log, and null for columns that the file does not have.
pub(crate) async fn batches<'a>(
    table: &DeltaTable,
    file: &'a DataFile,
    schema: &'a SchemaRef,
) -> Result<impl Stream<Item = Result<RecordBatch, TableErrorKind>> + Send + Unpin + 'a, TableErrorKind> {
    batches_of(table, file, schema, None).await
}

/// As [`batches`], but of some row groups only.
pub(crate) async fn batches_of<'a>(
    table: &DeltaTable,
    file: &'a DataFile,
    schema: &'a SchemaRef,
    row_groups: Option<Vec<usize>>,
) -> Result<impl Stream<Item = Result<RecordBatch, TableErrorKind>> + Send + Unpin + 'a, TableErrorKind> {
    let damaged = |error| TableErrorKind::parquet(file.path.as_ref(), &error);
    let reader = open(table.object_store(), file).await?;
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let columns = ProjectionMask::columns(reader.parquet_schema(), names);
    let reader = match row_groups {
        Some(row_groups) => reader.with_row_groups(row_groups),
        None => reader,
    };
    let read = reader.with_projection(columns).build().map_err(damaged)?;
    Ok(read.map_err(damaged).and_then(move |batch| {
        let batch = in_table_form(&batch, file.date, schema);
        ready(batch.map_err(|error| TableErrorKind::schema(format!("{}: {error}", file.path))))
    }))
}

fn in_table_form(batch: &RecordBatch, date: Option<Date>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
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
    let columns: Result<Vec<_>, _> = schema.fields().iter().map(|field| column(field.name())).collect();
    RecordBatch::try_new(Arc::clone(schema), columns?)
}

/// The builder of a reader over a data file.
pub(crate) type Reader = ParquetRecordBatchStreamBuilder<FileReader>;

/// Opens a file, and reads its footer.
pub(crate) async fn open(store: Arc<dyn ObjectStore>, file: &DataFile) -> Result<Reader, TableErrorKind> {
    if file.has_deletion_vector {
        let obstacle = features::deletion_vector(file.path.as_ref());
        return Err(TableErrorKind::obstacles(&[obstacle]));
    }
    let reader = FileReader {
        store,
        path: file.path.clone(),
        bytes: file.bytes,
        tail: Bytes::new(),
    };
    // Arrow types that the file's writer stored are ignored: the parquet types are cast to those of the table.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    Reader::new_with_options(reader, options)
        .await
        .map_err(|error| TableErrorKind::parquet(file.path.as_ref(), &error))
}

/// Reads byte ranges of a file, and its end only once. The file's size is known from the log, which saves a request: Azure
/// has no ranges relative to the end.
pub(crate) struct FileReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
    /// The last bytes of the file, once they were read.
    tail: Bytes,
}

impl FileReader {
    async fn read(&mut self, range: Range<u64>) -> ParquetResult<Bytes> {
        let tail_from = self.bytes.saturating_sub(TAIL_BYTES);
        if range.start < tail_from {
            return self.store.get_range(&self.path, range).await.map_err(external);
        }
        if self.tail.is_empty() {
            let tail = self.store.get_range(&self.path, tail_from..self.bytes).await;
            self.tail = tail.map_err(external)?;
        }
        let within = |offset: u64| usize::try_from(offset - tail_from).unwrap_or(usize::MAX);
        let (start, end) = (within(range.start), within(range.end));
        if end > self.tail.len() {
            let reason = format!("bytes {range:?} are beyond the end of a file of {} bytes", self.bytes);
            return Err(ParquetError::EOF(reason));
        }
        Ok(self.tail.slice(start..end))
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        Box::pin(self.read(range))
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
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        })
    }
}

fn external(error: deltalake::ObjectStoreError) -> ParquetError {
    ParquetError::External(Box::new(error))
}
