//! The bare loops: rows in batches of the same size, each as a data file and a log entry of a Delta table, without keys,
//! filters and positions. It is the least that a writer of a Delta table can do: deltalake's own commit does more.
//!
//! - [`append`]: of rows that are in memory
//! - [`consume_and_append`]: of the records that the product reads too, by a plain consumer and serde

use std::path::Path;
use std::time::Instant;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Add};
use deltalake::logstore::object_store::{ObjectStore, PutMode, path::Path as StorePath};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use rdkafka::message::Message;
use tokio::runtime::Runtime;

use crate::kafka::{PARTITIONS, each_record};
use crate::messages::trace_id;
use crate::results::rows::{RESULTS, row, row_of};
use xact_contracts::messages::DownloadResult;
use xact_lake::{AttachmentRow, TableRow, writer_properties};
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Result, context, failed};

/// Default of `RESULT_BATCH_SIZE`.
pub(crate) const BATCH: usize = 2000;

/// Rates, and the CPU time of 100,000 rows.
pub(crate) struct Measured {
    pub(crate) rows_per_second: f64,
    pub(crate) cpu_seconds: f64,
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    pub(crate) fn of(rows: u64, seconds: f64, cpu_seconds: f64) -> Self {
        Self {
            rows_per_second: rows as f64 / seconds,
            cpu_seconds: cpu_seconds * 100_000.0 / rows as f64,
        }
    }
}

pub(crate) fn append(folder: &Path, results: u64) -> Result<Measured> {
    let rows: Vec<AttachmentRow> = (0..results).map(|number| row(&trace_id(number))).collect();
    let mut table = Table::create(folder)?;
    let (begun, from) = (Instant::now(), cpu_seconds(std::process::id())?);
    for rows in rows.chunks(BATCH) {
        table.append(rows)?;
    }
    let used = cpu_seconds(std::process::id())? - from;
    let measured = Measured::of(results, begun.elapsed().as_secs_f64(), used);
    table.check(results)?;
    Ok(measured)
}

pub(crate) fn consume_and_append(broker: &str, folder: &Path, results: u64) -> Result<Measured> {
    let mut table = Table::create(folder)?;
    let mut begun = None;
    let mut rows = Vec::with_capacity(BATCH);
    let from = cpu_seconds(std::process::id())?;
    each_record(broker, RESULTS, PARTITIONS, results, |message| {
        let _ = begun.get_or_insert_with(Instant::now);
        let payload = message.payload().unwrap_or_default();
        let result: DownloadResult = serde_json::from_slice(payload).map_err(context("a result"))?;
        rows.push(row_of(result));
        if rows.len() == BATCH {
            table.append(&rows)?;
            rows.clear();
        }
        Ok(())
    })?;
    if !rows.is_empty() {
        table.append(&rows)?;
    }
    let used = cpu_seconds(std::process::id())? - from;
    let elapsed = begun.map_or(f64::NAN, |begun| begun.elapsed().as_secs_f64());
    table.check(results)?;
    Ok(Measured::of(results, elapsed, used))
}

/// A Delta table, and the version of its last commit.
struct Table {
    runtime: Runtime,
    table: DeltaTable,
    version: u64,
}

impl Table {
    fn create(folder: &Path) -> Result<Self> {
        let runtime = Runtime::new().map_err(context("a runtime"))?;
        let table = runtime.block_on(create(folder))?;
        Ok(Self {
            runtime,
            table,
            version: 0,
        })
    }

    fn append(&mut self, rows: &[AttachmentRow]) -> Result<()> {
        self.version += 1;
        self.runtime.block_on(async {
            let rows: Vec<&AttachmentRow> = rows.iter().collect();
            let files = data_files(&self.table, &rows).await?;
            commit(&self.table, self.version, files).await
        })
    }

    /// Checks that other readers see a table with a file for each batch.
    fn check(mut self, results: u64) -> Result<()> {
        let what = "reading the raw table";
        self.runtime.block_on(self.table.load()).map_err(context(what))?;
        let files = self.table.get_file_uris().map_err(context(what))?.count();
        if files as u64 == results.div_ceil(BATCH as u64) {
            return Ok(());
        }
        Err(failed("the raw table", format!("it has {files} files")))
    }
}

/// Creates an empty table for another program to write.
pub(crate) fn create_table(folder: &Path) -> Result<()> {
    Table::create(folder).map(drop)
}

/// Creates a table as the product does: the same columns, partitions and statistics.
async fn create(folder: &Path) -> Result<DeltaTable> {
    let what = "the raw table";
    std::fs::create_dir(folder).map_err(context(what))?;
    let created = CreateBuilder::new()
        .with_location(folder.to_string_lossy())
        .with_columns(AttachmentRow::delta_schema())
        .with_partition_columns(["event_date"])
        .with_configuration([(
            "delta.dataSkippingStatsColumns",
            Some(AttachmentRow::STATISTICS.join(",")),
        )])
        .await;
    created.map_err(context(what))
}

async fn data_files(table: &DeltaTable, rows: &[&AttachmentRow]) -> Result<Vec<Add>> {
    let what = "a raw data file";
    let batch = AttachmentRow::to_record_batch(rows).map_err(context(what))?;
    let properties = writer_properties::<AttachmentRow>(rows.len()).into_builder();
    let key = AttachmentRow::KEY_COLUMN;
    let properties = properties.set_column_bloom_filter_enabled(key.into(), false).build();
    let writer = RecordBatchWriter::for_table(table).map_err(context(what))?;
    let mut writer = writer.with_writer_properties(properties);
    writer.write(batch).await.map_err(context(what))?;
    writer.flush().await.map_err(context(what))
}

async fn commit(table: &DeltaTable, version: u64, files: Vec<Add>) -> Result<()> {
    let what = "a raw commit";
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: None,
        predicate: None,
    };
    let actions = std::iter::once(Action::CommitInfo(operation.get_commit_info()));
    let mut entry = Vec::new();
    for action in actions.chain(files.into_iter().map(Action::Add)) {
        serde_json::to_writer(&mut entry, &action).map_err(context(what))?;
        entry.push(b'\n');
    }
    let name = StorePath::from(format!("_delta_log/{version:020}.json"));
    let store = table.object_store();
    let created = store.put_opts(&name, entry.into(), PutMode::Create.into()).await;
    created.map(drop).map_err(context(what))
}
