//! The log of a Delta table in a local folder, and the keys in its data files, read without the product's code.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use deltalake::arrow::array::{Array, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use xact_testkit::{Result, context};

const READING: &str = "reading the table's log";

/// A commit that adds rows.
pub(crate) struct Commit {
    /// When its entry was written, from which on readers of the table return its rows.
    pub(crate) at: SystemTime,
    /// Its data files.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) rows: u64,
}

/// Reads the entries of the log in their order.
pub(crate) struct TableLog {
    table: PathBuf,
    /// Version of the next entry.
    version: u64,
    /// Rows and commits that were read.
    pub(crate) rows: u64,
    pub(crate) commits: u64,
}

impl TableLog {
    pub(crate) fn new(table: &Path) -> Self {
        Self {
            table: table.to_owned(),
            version: 0,
            rows: 0,
            commits: 0,
        }
    }

    /// Returns the number of rows that the table has now, with rows that are in it twice.
    pub(crate) fn count(&mut self) -> Result<u64> {
        while self.next()?.is_some() {}
        Ok(self.rows)
    }

    /// Returns the next commit that adds rows; `None` if there is none yet.
    pub(crate) fn next(&mut self) -> Result<Option<Commit>> {
        loop {
            let path = self.table.join(format!("_delta_log/{:020}.json", self.version));
            let log = match fs::read_to_string(&path) {
                Ok(log) => log,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(context(READING)(error)),
            };
            self.version += 1;
            let mut commit = Commit {
                at: path.metadata().and_then(|it| it.modified()).map_err(context(READING))?,
                files: Vec::new(),
                rows: 0,
            };
            for line in log.lines() {
                let action: Value = serde_json::from_str(line).map_err(context(READING))?;
                let Some(file) = action["add"]["path"].as_str() else {
                    continue;
                };
                let statistics = action["add"]["stats"].as_str().unwrap_or("{}");
                let statistics: Value = serde_json::from_str(statistics).map_err(context(READING))?;
                commit.rows += statistics["numRecords"].as_u64().unwrap_or(0);
                commit.files.push(self.table.join(file));
            }
            if !commit.files.is_empty() {
                self.rows += commit.rows;
                self.commits += 1;
                return Ok(Some(commit));
            }
        }
    }
}

/// Returns the media ids of all rows of a table.
pub(crate) fn media_ids(table: &Path) -> Result<Vec<String>> {
    let mut log = TableLog::new(table);
    let mut ids = Vec::new();
    while let Some(commit) = log.next()? {
        for file in &commit.files {
            ids.extend(media_ids_of_file(file)?);
        }
    }
    Ok(ids)
}

/// Returns the media ids of the rows of a data file.
pub(crate) fn media_ids_of_file(file: &Path) -> Result<Vec<String>> {
    read(file).map_err(context(file.display().to_string()))
}

fn read(file: &Path) -> std::result::Result<Vec<String>, Box<dyn std::error::Error>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.build()?;
    let mut ids = Vec::new();
    for batch in reader {
        let batch = batch?;
        let column = batch.column_by_name("media_id").ok_or("no column media_id")?;
        let column = cast(column, &DataType::Utf8)?;
        let column = column
            .as_any()
            .downcast_ref::<StringArray>()
            .ok_or("media_id is not text")?;
        ids.extend(column.iter().flatten().map(str::to_owned));
    }
    Ok(ids)
}
