//! Data files: rows are written to parquet files before a commit names them.

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

use crate::tables::error::TableErrorKind;
use crate::tables::read::filters::{FileFilters, FilterCache};
use crate::tables::rows::row::{EVENT_DATE, TableRow};
use crate::tables::{log_entry, schema};

/// One false positive in a million lookups: each costs reading a key column.
const FALSE_POSITIVE_RATE: f64 = 1e-6;
/// Dates that are written at the same time. A file that is being written takes about 300 KB of memory.
const MAX_DATES_AT_ONCE: usize = 8;

/// Most rows of a row group. A row group has a filter of that size, and is written and read as a whole: this bounds memory.
pub(crate) const MAX_ROW_GROUP_ROWS: usize = 64 * 1024;
/// Most bytes of a row group, for long rows.
const MAX_ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Returns how data files are written: with a split-block bloom filter on the key column, sized for `rows` rows or for a
/// full row group. Filters are at the end of the file, so that one request reads them with the footer.
///
/// Programs that rewrite files (`table optimize`) must use these properties too: of a file without a filter the key column
/// is read at each append.
#[must_use]
pub fn writer_properties<R: TableRow>(rows: usize) -> WriterProperties {
    let key = || ColumnPath::from(R::KEY_COLUMN);
    WriterProperties::builder()
        .set_created_by(concat!("xact-lake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD))
        // Keys are unique: a dictionary would be a second copy of them.
        .set_column_dictionary_enabled(key(), false)
        .set_column_bloom_filter_enabled(key(), true)
        .set_column_bloom_filter_fpp(key(), FALSE_POSITIVE_RATE)
        .set_column_bloom_filter_max_ndv(key(), rows.clamp(1, MAX_ROW_GROUP_ROWS) as u64)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_max_row_group_row_count(Some(MAX_ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(MAX_ROW_GROUP_BYTES))
        .build()
}

/// Writes the rows, one file for each date among them, and returns the actions that add them. Their filters are kept in
/// memory, so that this process does not read its own files to look up keys.
pub(crate) async fn write<R: TableRow>(
    table: &DeltaTable,
    rows: &[&R],
    filters: &FilterCache,
) -> Result<Vec<Add>, TableErrorKind> {
    let mut by_date: BTreeMap<Date, Vec<&R>> = BTreeMap::new();
    for row in rows {
        by_date.entry(row.event_date()).or_default().push(row);
    }
    let dates: Vec<Vec<&R>> = by_date.values().cloned().collect();
    let mut files = Vec::with_capacity(dates.len());
    for dates in dates.chunks(MAX_DATES_AT_ONCE) {
        files.extend(write_dates(table, &dates.concat()).await?);
    }
    for file in &files {
        let date = file.partition_values.get(EVENT_DATE).and_then(Option::as_ref);
        if let Some(rows) = date.and_then(|date| by_date.get(&date.parse().ok()?)) {
            filters.put(log_entry::file_path(&file.path).as_ref(), Arc::new(filter_of(rows)));
        }
    }
    Ok(files)
}

fn filter_of<R: TableRow>(rows: &[&R]) -> FileFilters {
    let ids: Vec<Arc<str>> = rows.iter().map(|row| row.key().id).collect();
    FileFilters::of_keys(ids.iter().map(|id| &**id))
}

async fn write_dates<R: TableRow>(table: &DeltaTable, rows: &[&R]) -> Result<Vec<Add>, TableErrorKind> {
    let batch = R::to_record_batch(rows).map_err(TableErrorKind::schema)?;
    let batch = schema::conform(&batch, &schema::table_schema(table)?)?;
    let written = async {
        let properties = writer_properties::<R>(rows.len());
        let mut writer = RecordBatchWriter::for_table(table)?.with_writer_properties(properties);
        writer.write(batch).await?;
        writer.flush().await
    };
    let failed = |error| TableErrorKind::delta("write a data file", &error);
    written.await.map_err(failed)
}

/// Deletes files that no commit names or will name. Files that cannot be deleted are left to `table vacuum`.
pub(crate) async fn delete(table: &DeltaTable, files: &[Add]) {
    for file in files {
        let deleted = async {
            let path = Path::from_url_path(&file.path)?;
            table.object_store().delete(&path).await
        };
        if let Err(error) = deleted.await {
            debug!(file = file.path, %error, "could not delete an unused data file; it is left to vacuum");
        }
    }
}
