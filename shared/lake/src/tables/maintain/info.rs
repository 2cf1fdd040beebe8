//! The state of a table, for operators.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::tables::checkpoints;
use crate::tables::error::TableError;
use crate::tables::features::Obstacle;
use crate::tables::maintain::optimize::is_small;
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

/// The state of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInfo {
    /// The latest version.
    pub version: u64,
    /// Version of the last checkpoint; reading the log begins there.
    pub checkpoint: Option<u64>,
    /// Data files.
    pub files: usize,
    /// Rows; files whose writer did not count them are left out.
    pub rows: usize,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Dates that have files.
    pub dates: usize,
    /// The first of them.
    pub first_date: Option<Date>,
    /// The last of them.
    pub last_date: Option<Date>,
    /// Files that `optimize` would compact.
    pub small_files: usize,
    /// Why this program cannot append to the table; empty if it can.
    pub obstacles: Vec<Obstacle>,
}

impl<R: TableRow> Table<R> {
    /// Returns the state of the table; `None` if it does not exist.
    ///
    /// # Errors
    /// [`TableError`], if the log cannot be read.
    pub async fn info(&self) -> Result<Option<TableInfo>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(None);
            };
            let mut info = TableInfo {
                version: snapshot.version,
                checkpoint: checkpoints::read_last(&snapshot.table).await,
                obstacles: snapshot.obstacles(),
                ..TableInfo::default()
            };
            let mut small_by_date: BTreeMap<Date, usize> = BTreeMap::new();
            for file in snapshot.files_between(None) {
                info.files += 1;
                info.rows += file.rows.unwrap_or_default();
                info.bytes += file.bytes;
                if let Some(date) = file.date {
                    let is_small = is_small(file.bytes, self.options.target_file_bytes);
                    *small_by_date.entry(date).or_default() += usize::from(is_small);
                }
            }
            info.dates = small_by_date.len();
            info.first_date = small_by_date.keys().next().copied();
            info.last_date = small_by_date.keys().next_back().copied();
            // One small file alone is not compacted.
            info.small_files = small_by_date.into_values().filter(|files| *files > 1).sum();
            handle.keep(snapshot);
            Ok(Some(info))
        })
        .await
    }
}
