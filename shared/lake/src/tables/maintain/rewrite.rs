//! Rewriting data files: their rows, or most of them, into new files that take their place in one commit.
//!
//! Rows are streamed batch by batch, and a row group is handed to the storage when it is full: the memory needed does
//! not grow with the files.

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

use crate::tables::data_files::{ROW_GROUP_ROWS, writer_properties};
use crate::tables::error::TableError;
use crate::tables::read::parquet;
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::{DataFile, Snapshot};
use crate::tables::{change_feed, data_files, schema};

/// Files to be replaced and what replaces them, not yet named by a commit.
#[derive(Default)]
pub(crate) struct Rewritten {
    pub(crate) sources: Vec<Arc<DataFile>>,
    pub(crate) files: Vec<Add>,
    /// The rows that were left out, for a table with a change data feed.
    changes: Option<AddCDCFile>,
    /// Rows that were left out.
    pub(crate) dropped: usize,
}

impl Rewritten {
    /// What the commit does: the sources go, the new files come. `data_change` is false if the rows stay the same.
    pub(crate) fn actions(&self, data_change: bool) -> Vec<Action> {
        let removes = self
            .sources
            .iter()
            .map(|file| Action::Remove(remove(file, data_change)));
        let adds = self.files.iter().map(|file| {
            Action::Add(Add {
                data_change,
                ..file.clone()
            })
        });
        removes
            .chain(adds)
            .chain(self.changes.clone().map(Action::Cdc))
            .collect()
    }

    /// Whether these are the files that it replaces.
    pub(crate) fn replaces(&self, files: &[Arc<DataFile>]) -> bool {
        let paths = |files: &[Arc<DataFile>]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        paths(&self.sources) == paths(files)
    }

    /// All that was written, as files that a commit would name.
    pub(crate) fn staged(&self) -> Vec<Add> {
        let changes = self.changes.iter().map(|changes| Add {
            path: changes.path.clone(),
            ..Add::default()
        });
        self.files.iter().cloned().chain(changes).collect()
    }

    /// Deletes the new files; only while no commit names them.
    pub(crate) async fn discard(&mut self, table: &DeltaTable) {
        let discarded = std::mem::take(self);
        data_files::discard(table, &discarded.staged()).await;
    }
}

/// Writes the rows of some files of one date into new ones of about `target_bytes` each, without the rows of the ids to
/// `drop`.
pub(crate) async fn rewrite<R: TableRow>(
    snapshot: &Snapshot,
    sources: Vec<Arc<DataFile>>,
    drop: &HashSet<Arc<str>>,
    target_bytes: u64,
) -> Result<Rewritten, TableError> {
    if sources.is_empty() {
        return Ok(Rewritten::default());
    }
    let (table, at) = (&snapshot.table, snapshot.at.as_str());
    let schema = schema::table_schema(table, at)?;
    let failed = |error| TableError::delta(at, "write a file of", &error);
    // The filter is sized for the rows that a row group will hold.
    let rows = sources.iter().try_fold(0_usize, |sum, file| Some(sum + file.rows?));
    let properties = writer_properties::<R>(rows.unwrap_or(ROW_GROUP_ROWS));
    let mut writer = RecordBatchWriter::for_table(table)
        .map_err(failed)?
        .with_writer_properties(properties)
        .with_target_file_size(target_bytes);
    let mut dropped = 0;
    let mut removed = Vec::new();
    for file in &sources {
        let mut batches = parquet::batches(table, at, file, &schema).await?;
        while let Some(batch) = batches.try_next().await? {
            let (kept, gone) = split::<R>(&batch, drop).map_err(|error| TableError::schema(at, error))?;
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
    let changes = change_feed::write_removed(table, at, date, &removed).await?;
    Ok(Rewritten {
        sources,
        files,
        changes,
        dropped,
    })
}

/// The action that takes a file out of the table. The partition is among its extended metadata, for readers that follow
/// changes.
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

/// The rows that stay, and those of the ids to drop.
fn split<R: TableRow>(batch: &RecordBatch, drop: &HashSet<Arc<str>>) -> Result<(RecordBatch, RecordBatch), ArrowError> {
    if drop.is_empty() {
        return Ok((batch.clone(), batch.slice(0, 0)));
    }
    let ids = batch
        .column_by_name(R::KEY_COLUMN)
        .ok_or_else(|| ArrowError::SchemaError(format!("it has no column {:?}", R::KEY_COLUMN)))?;
    let ids = cast(ids, &DataType::Utf8)?;
    let keep: BooleanArray = ids
        .as_string::<i32>()
        .iter()
        .map(|id| Some(id.is_none_or(|id| !drop.contains(id))))
        .collect();
    Ok((
        filter_record_batch(batch, &keep)?,
        filter_record_batch(batch, &not(&keep)?)?,
    ))
}
