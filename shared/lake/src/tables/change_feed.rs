//! The change data feed of a table: rows that a commit removes are also written to `_change_data`, for readers that follow
//! its changes. An append needs nothing for it: its data files are its changes.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::{RecordBatch, StringArray};
use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::AddCDCFile;
use deltalake::logstore::object_store::{ObjectStoreExt, path::Path};
use deltalake::parquet::arrow::ArrowWriter;
use deltalake::parquet::errors::ParquetError;
use jiff::civil::Date;
use uuid::Uuid;

use crate::tables::error::TableErrorKind;
use crate::tables::rows::row::EVENT_DATE;

const CHANGE_DATA_FOLDER: &str = "_change_data";
const CHANGE_TYPE_COLUMN: &str = "_change_type";

/// Writes removed rows of one date, and returns the action that names their file. They are few, and held in memory.
pub(crate) async fn write_removed(
    table: &DeltaTable,
    date: Option<Date>,
    rows: &[RecordBatch],
) -> Result<Option<AddCDCFile>, TableErrorKind> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let bytes = encode(first, rows).map_err(|error| TableErrorKind::parquet(CHANGE_DATA_FOLDER, &error))?;
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let date = date.map(|date| date.to_string());
    let partition = date.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__");
    let folder = format!("{EVENT_DATE}={partition}");
    let path = Path::from_iter([CHANGE_DATA_FOLDER, &folder, &format!("cdc-{}.parquet", Uuid::new_v4())]);
    let written = table.object_store().put(&path, bytes.into()).await;
    written.map_err(|error| TableErrorKind::unavailable("write a data file", error))?;
    Ok(Some(AddCDCFile {
        path: path.to_string(),
        size,
        partition_values: HashMap::from([(EVENT_DATE.to_owned(), date)]),
        data_change: false,
        tags: None,
    }))
}

/// Encodes rows as a file of the table: without the partition column, and with the kind of the change.
fn encode(first: &RecordBatch, rows: &[RecordBatch]) -> Result<Vec<u8>, ParquetError> {
    let kept: Vec<usize> = (0..first.num_columns())
        .filter(|index| first.schema_ref().field(*index).name() != EVENT_DATE)
        .collect();
    let mut fields = first.schema_ref().project(&kept)?.fields().to_vec();
    fields.push(Arc::new(Field::new(CHANGE_TYPE_COLUMN, DataType::Utf8, true)));
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), None)?;
    let with_kind = |batch: &RecordBatch| -> Result<RecordBatch, ArrowError> {
        let mut columns = batch.project(&kept)?.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec!["delete"; batch.num_rows()])));
        RecordBatch::try_new(Arc::clone(&schema), columns)
    };
    for batch in rows {
        writer.write(&with_kind(batch)?)?;
    }
    writer.into_inner()
}
