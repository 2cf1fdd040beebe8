//! The bare loop: the same rows in batches of the same size, each as a data file and a log entry of a Delta table, without
//! keys, filters and positions. It is the least that a writer of a Delta table can do: deltalake's own commit does more.

use std::path::Path;
use std::time::Instant;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Add};
use deltalake::logstore::object_store::{ObjectStore, PutMode, path::Path as StorePath};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};

use crate::cpu;
use crate::results::{BATCH, Measured, row, trace_id};
use xact_lake::{AttachmentRow, TableRow, writer_properties};
use xact_testkit::{Result, context, failed};

pub(crate) fn append(folder: &Path, results: u64) -> Result<Measured> {
    let rows: Vec<AttachmentRow> = (0..results).map(|number| row(&trace_id(number))).collect();
    let runtime = tokio::runtime::Runtime::new().map_err(context("a runtime"))?;
    runtime.block_on(async {
        let table = create(folder).await?;
        let (begun, from) = (Instant::now(), cpu::seconds(std::process::id())?);
        let batch = usize::try_from(BATCH).unwrap_or(usize::MAX);
        for (version, rows) in (1..).zip(rows.chunks(batch)) {
            let rows: Vec<&AttachmentRow> = rows.iter().collect();
            let files = data_files(&table, &rows).await?;
            commit(&table, version, files).await?;
        }
        let used = cpu::seconds(std::process::id())? - from;
        let measured = Measured::of(results, begun.elapsed().as_secs_f64(), used);
        check(table, results, BATCH).await?;
        Ok(measured)
    })
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

/// Checks that the table is a valid one that has all rows.
async fn check(mut table: DeltaTable, results: u64, batch: u64) -> Result<()> {
    let what = "reading the raw table";
    table.load().await.map_err(context(what))?;
    let files = table.get_file_uris().map_err(context(what))?.count();
    if files as u64 == results.div_ceil(batch) {
        return Ok(());
    }
    Err(failed("the raw table", format!("it has {files} files")))
}
