//! Which keys are in the table: bloom filters first, and the key column of a row group where one says "perhaps".
//!
//! The cost grows with the files of the one date, not with the table. A file of ours answers from its filter, which
//! stays in memory; of a file that others wrote (no filter) the key column is read each time.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::{Array, AsArray, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int32Type};
use deltalake::arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;

use crate::filter_cache::{FileFilters, FilterCache};
use crate::parquet_read::{self, DataFile, Reader};
use crate::{Key, TableError, TableRow};

/// Files looked into at once. Each holds a footer and at most one batch of keys in memory.
const FILES_AT_ONCE: usize = 8;
/// A filter bigger than this is not loaded; the column is read instead.
const FILTER_BYTES: i32 = 16 * 1024 * 1024;

/// Keys to look for, by id, so that a row is checked without making a [`Key`] of it.
pub(crate) struct Wanted<'a> {
    by_id: HashMap<&'a str, Vec<&'a Key>>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(keys: &'a [Key]) -> Self {
        let mut by_id: HashMap<&str, Vec<&Key>> = HashMap::with_capacity(keys.len());
        for key in keys {
            by_id.entry(&key.id).or_default().push(key);
        }
        Self { by_id }
    }
}

/// Looks keys up in one loaded version of a table.
pub(crate) struct Lookup<'a, R> {
    table: &'a DeltaTable,
    filters: &'a FilterCache,
    at: &'a str,
    row: PhantomData<fn() -> R>,
}

impl<'a, R: TableRow> Lookup<'a, R> {
    pub(crate) fn new(table: &'a DeltaTable, filters: &'a FilterCache, at: &'a str) -> Self {
        Self {
            table,
            filters,
            at,
            row: PhantomData,
        }
    }

    /// The wanted keys that have a row of that date in a file not yet in `checked`; the files looked into are added to it.
    pub(crate) async fn find(
        &self,
        date: Date,
        wanted: &Wanted<'_>,
        checked: &mut HashSet<String>,
    ) -> Result<HashSet<Key>, TableError> {
        let mut files = parquet_read::files_between(self.table, self.at, Some((date, date))).await?;
        files.retain(|file| !checked.contains(file.path.as_ref()));
        let mut found = HashSet::new();
        let mut looked_into = stream::iter(files)
            .map(|file| self.find_in_file(file, wanted))
            .buffer_unordered(FILES_AT_ONCE);
        while let Some((file, keys)) = looked_into.try_next().await? {
            checked.insert(String::from(file.path));
            found.extend(keys);
        }
        Ok(found)
    }

    async fn find_in_file(&self, file: DataFile, wanted: &Wanted<'_>) -> Result<(DataFile, HashSet<Key>), TableError> {
        // With every filter in memory nothing here waits: let other tasks have their turn between two files.
        tokio::task::yield_now().await;
        let filters = match self.filters.get(file.path.as_ref()) {
            Some(filters) => filters,
            None => {
                let filters = Arc::new(self.load_filters(&file).await?);
                self.filters.put(file.path.as_ref(), Arc::clone(&filters));
                filters
            }
        };
        let suspects: Vec<usize> = filters
            .0
            .iter()
            .enumerate()
            .filter(|(_, filter)| {
                filter
                    .as_ref()
                    .is_none_or(|filter| wanted.by_id.keys().any(|id| filter.check(*id)))
            })
            .map(|(row_group, _)| row_group)
            .collect();
        let found = if suspects.is_empty() {
            HashSet::new()
        } else {
            self.read_keys(&file, suspects, wanted).await?
        };
        Ok((file, found))
    }

    async fn load_filters(&self, file: &DataFile) -> Result<FileFilters, TableError> {
        let mut reader = self.open(file).await?;
        let column = reader
            .parquet_schema()
            .columns()
            .iter()
            .position(|column| column.path().string() == R::KEY_COLUMN);
        let row_groups = reader.metadata().num_row_groups();
        let mut filters = Vec::with_capacity(row_groups);
        for row_group in 0..row_groups {
            let fits = column.filter(|column| {
                let chunk = reader.metadata().row_group(row_group).column(*column);
                chunk.bloom_filter_length().is_none_or(|bytes| bytes <= FILTER_BYTES)
            });
            filters.push(match fits {
                Some(column) => reader
                    .get_row_group_column_bloom_filter(row_group, column)
                    .await
                    .map_err(|error| TableError::parquet(self.at, file.path.as_ref(), &error))?,
                None => None,
            });
        }
        Ok(FileFilters(filters))
    }

    /// Reads the key column of some row groups, batch by batch.
    async fn read_keys(
        &self,
        file: &DataFile,
        row_groups: Vec<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<HashSet<Key>, TableError> {
        let reader = self.open(file).await?;
        let names: Vec<&str> = [Some(R::KEY_COLUMN), R::REPLAY_COLUMN].into_iter().flatten().collect();
        let columns = parquet_read::columns_named(reader.parquet_schema(), &names);
        let mut batches = reader
            .with_projection(columns)
            .with_row_groups(row_groups)
            .build()
            .map_err(|error| TableError::parquet(self.at, file.path.as_ref(), &error))?;
        let mut found = HashSet::new();
        while let Some(batch) = batches
            .try_next()
            .await
            .map_err(|error| TableError::parquet(self.at, file.path.as_ref(), &error))?
        {
            collect_keys::<R>(&batch, wanted, &mut found)
                .map_err(|error| TableError::schema(self.at, format!("{}: {error}", file.path)))?;
        }
        Ok(found)
    }

    async fn open(&self, file: &DataFile) -> Result<Reader, TableError> {
        parquet_read::open(self.table.object_store(), file, self.at).await
    }
}

fn collect_keys<R: TableRow>(
    batch: &RecordBatch,
    wanted: &Wanted<'_>,
    found: &mut HashSet<Key>,
) -> Result<(), ArrowError> {
    let column = |name: &str, as_type: &DataType| {
        let column = batch
            .column_by_name(name)
            .ok_or_else(|| ArrowError::SchemaError(format!("it has no column {name:?}")))?;
        cast(column, as_type)
    };
    let ids = column(R::KEY_COLUMN, &DataType::Utf8)?;
    let ids = ids.as_string::<i32>();
    let replays = R::REPLAY_COLUMN
        .map(|name| column(name, &DataType::Int32))
        .transpose()?;
    let replays = replays.as_ref().map(AsArray::as_primitive::<Int32Type>);
    for (row, id) in ids.iter().enumerate() {
        let Some(keys) = id.and_then(|id| wanted.by_id.get(id)) else {
            continue;
        };
        let replay = replays
            .filter(|replays| replays.is_valid(row))
            .map(|replays| replays.value(row));
        found.extend(
            keys.iter()
                .filter(|key| key.replay_count == replay)
                .map(|key| (*key).clone()),
        );
    }
    Ok(())
}
