//! Rewrites data files: their rows, or most of them, are written to new files that replace them in one commit.
//!
//! Rows are streamed batch by batch, and a row group is written when it is full, so memory does not grow with the files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::{AsArray, BooleanArray, RecordBatch};
use deltalake::arrow::compute::{cast, filter_record_batch, not};
use deltalake::arrow::datatypes::DataType;
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::{Action, Add, AddCDCFile, Remove};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use futures::TryStreamExt;

use crate::tables::data_files::{MAX_ROW_GROUP_ROWS, writer_properties};
use crate::tables::error::TableErrorKind;
use crate::tables::read::parquet;
use crate::tables::rows::row::{EVENT_DATE, TableRow};
use crate::tables::snapshot::{DataFile, Snapshot};
use crate::tables::{change_feed, data_files, schema};

/// Files to be replaced and the files that replace them, not yet named by a commit.
#[derive(Default)]
pub(crate) struct Rewritten {
    pub(crate) sources: Vec<Arc<DataFile>>,
    pub(crate) files: Vec<Add>,
    /// The file with the rows that were left out, for a table with a change data feed.
    changes: Option<AddCDCFile>,
    /// Rows that were left out.
    pub(crate) dropped: usize,
}

impl Rewritten {
    /// Returns the actions of the commit: the sources are removed, the new files are added.
    pub(crate) fn actions(&self, data_change: DataChange) -> Vec<Action> {
        let data_change = data_change == DataChange::Yes;
        let removes = self
            .sources
            .iter()
            .map(|file| Action::Remove(remove(file, data_change)));
        let adds = self.files.iter().cloned().map(|mut file| {
            file.data_change = data_change;
            Action::Add(file)
        });
        let changes = self.changes.clone().map(Action::Cdc);
        removes.chain(adds).chain(changes).collect()
    }

    /// Returns whether these are the files that it replaces.
    pub(crate) fn replaces(&self, files: &[Arc<DataFile>]) -> bool {
        let paths = files.iter().map(|file| &file.path);
        self.sources.iter().map(|file| &file.path).eq(paths)
    }

    /// Returns all files that were written and that a commit would name.
    pub(crate) fn staged_files(&self) -> Vec<Add> {
        let changes = self.changes.iter().map(|changes| Add {
            path: changes.path.clone(),
            ..Add::default()
        });
        self.files.iter().cloned().chain(changes).collect()
    }

    /// Deletes the new files. Only if no commit names them and none can.
    pub(crate) async fn discard(&mut self, table: &DeltaTable) {
        let discarded = std::mem::take(self);
        data_files::delete(table, &discarded.staged_files()).await;
    }
}

/// Whether a commit changes the rows of the table. Readers that follow its changes skip a commit that does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataChange {
    Yes,
    No,
}

/// Writes the rows of some files of one date to new files of about `target_bytes` each, without the rows of the ids to
/// `drop`.
pub(crate) async fn rewrite<R: TableRow>(
    snapshot: &Snapshot,
    sources: Vec<Arc<DataFile>>,
    drop: &HashSet<Arc<str>>,
    target_bytes: u64,
) -> Result<Rewritten, TableErrorKind> {
    if sources.is_empty() {
        return Ok(Rewritten::default());
    }
    let table = &snapshot.table;
    let schema = schema::table_schema(table)?;
    let failed = |error| TableErrorKind::delta("write a data file", &error);
    // The filter is sized for the rows that a row group will hold.
    let rows = sources.iter().try_fold(0_usize, |sum, file| Some(sum + file.rows?));
    let properties = writer_properties::<R>(rows.unwrap_or(MAX_ROW_GROUP_ROWS));
    let mut writer = RecordBatchWriter::for_table(table)
        .map_err(failed)?
        .with_writer_properties(properties)
        .with_target_file_size(target_bytes);
    let mut dropped = 0;
    let mut removed = Vec::new();
    for file in &sources {
        let mut batches = parquet::batches(table, file, &schema).await?;
        while let Some(batch) = batches.try_next().await? {
            let (kept, gone) = split::<R>(&batch, drop).map_err(TableErrorKind::schema)?;
            dropped += gone.num_rows();
            if snapshot.features.has_change_data_feed && gone.num_rows() > 0 {
                removed.push(gone);
            }
            if kept.num_rows() > 0 {
                writer.write(kept).await.map_err(failed)?;
            }
        }
    }
    let files = writer.flush().await.map_err(failed)?;
    let date = sources.first().and_then(|file| file.date);
    let changes = change_feed::write_removed(table, date, &removed).await?;
    Ok(Rewritten {
        sources,
        files,
        changes,
        dropped,
    })
}

/// Returns the action that removes a file from the table. Its extended metadata names the partition, for readers that
/// follow changes.
fn remove(file: &DataFile, data_change: bool) -> Remove {
    let date = file.date.map(|date| date.to_string());
    Remove {
        path: file.path.to_string(),
        data_change,
        deletion_timestamp: Some(chrono::Utc::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::from([(EVENT_DATE.to_owned(), date)])),
        size: i64::try_from(file.bytes).ok(),
        ..Remove::default()
    }
}

/// Splits a batch into the rows that stay and those of the ids to drop.
fn split<R: TableRow>(batch: &RecordBatch, drop: &HashSet<Arc<str>>) -> Result<(RecordBatch, RecordBatch), ArrowError> {
    if drop.is_empty() {
        return Ok((batch.clone(), batch.slice(0, 0)));
    }
    let missing = || ArrowError::SchemaError(format!("it has no column {:?}", R::KEY_COLUMN));
    let ids = batch.column_by_name(R::KEY_COLUMN).ok_or_else(missing)?;
    let ids = cast(ids, &DataType::Utf8)?;
    let keep = ids.as_string::<i32>().iter();
    let keep: BooleanArray = keep.map(|id| Some(id.is_none_or(|id| !drop.contains(id)))).collect();
    let gone = filter_record_batch(batch, &not(&keep)?)?;
    Ok((filter_record_batch(batch, &keep)?, gone))
}
