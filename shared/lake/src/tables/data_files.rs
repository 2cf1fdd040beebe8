//! Writing rows into parquet files of the table, before any commit names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use deltalake::logstore::object_store::{ObjectStoreExt, path::Path};
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::{BloomFilterPosition, WriterProperties};
use deltalake::parquet::schema::types::ColumnPath;
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use jiff::civil::Date;
use tracing::debug;

use crate::tables::error::TableError;
use crate::tables::read::filters::{FileFilters, FilterCache};
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::rows::row::TableRow;
use crate::tables::{log_entry, schema};

/// One false hit in a million look-ups: a false hit costs reading a key column.
const FALSE_POSITIVES: f64 = 1e-6;
/// Each file that is being written holds about 300 KB: a batch of many dates is written a few dates at a time.
const DATES_AT_ONCE: usize = 8;

/// Most rows of a row group. One holds a filter sized for it, and is written and read as a whole: this bounds memory.
pub(crate) const ROW_GROUP_ROWS: usize = 64 * 1024;
/// Most bytes of a row group, for rows that are long.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// How files of this table are written: with a split-block bloom filter on the key column, sized for `rows` rows or for
/// a full row group. Filters stand at the end of the file, so that one request reads them with the footer.
///
/// Whatever rewrites files (`table optimize`) must use these properties too: a file without a filter has its key column
/// read at each append.
#[must_use]
pub fn writer_properties<R: TableRow>(rows: usize) -> WriterProperties {
    let key = || ColumnPath::from(R::KEY_COLUMN);
    WriterProperties::builder()
        .set_created_by(concat!("xact-lake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD))
        // Keys do not repeat: a dictionary of them is a second copy.
        .set_column_dictionary_enabled(key(), false)
        .set_column_bloom_filter_enabled(key(), true)
        .set_column_bloom_filter_fpp(key(), FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(key(), rows.clamp(1, ROW_GROUP_ROWS) as u64)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .build()
}

/// Writes the rows, one file for each date among them, and returns the actions that would add them. Their filters are
/// kept: this process need not read its own files to know their keys.
pub(crate) async fn write<R: TableRow>(
    table: &DeltaTable,
    at: &str,
    rows: &[&R],
    filters: &FilterCache,
) -> Result<Vec<Add>, TableError> {
    let mut by_date: BTreeMap<Date, Vec<&R>> = BTreeMap::new();
    for row in rows {
        by_date.entry(row.event_date()).or_default().push(row);
    }
    let dates: Vec<Vec<&R>> = by_date.values().cloned().collect();
    let mut files = Vec::with_capacity(dates.len());
    for dates in dates.chunks(DATES_AT_ONCE) {
        files.extend(write_dates(table, at, &dates.concat()).await?);
    }
    for file in &files {
        let date = file.partition_values.get(EVENT_DATE).and_then(Option::as_ref);
        let rows = date.and_then(|date| by_date.get(&date.parse().ok()?));
        if let Some(filter) = rows.and_then(|rows| filter_of(rows)) {
            filters.put(log_entry::file_path(&file.path).as_ref(), Arc::new(filter));
        }
    }
    Ok(files)
}

fn filter_of<R: TableRow>(rows: &[&R]) -> Option<FileFilters> {
    let ids: Vec<Arc<str>> = rows.iter().map(|row| row.key().id).collect();
    FileFilters::of_keys(ids.iter().map(|id| &**id), FALSE_POSITIVES)
}

async fn write_dates<R: TableRow>(table: &DeltaTable, at: &str, rows: &[&R]) -> Result<Vec<Add>, TableError> {
    let batch = R::to_record_batch(rows).map_err(|error| TableError::schema(at, error))?;
    let batch = schema::conform(&batch, &schema::table_schema(table, at)?, at)?;
    let written = async {
        let properties = writer_properties::<R>(rows.len());
        let mut writer = RecordBatchWriter::for_table(table)?.with_writer_properties(properties);
        writer.write(batch).await?;
        writer.flush().await
    };
    written
        .await
        .map_err(|error| TableError::delta(at, "write a file of", &error))
}

/// Deletes files that no commit names and none can name any more. What stays behind is for `table vacuum`.
pub(crate) async fn discard(table: &DeltaTable, files: &[Add]) {
    for file in files {
        let deleted = match Path::from_url_path(&file.path) {
            Ok(path) => table
                .object_store()
                .delete(&path)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = deleted {
            debug!(file = file.path, error, "left an unused data file to vacuum");
        }
    }
}
