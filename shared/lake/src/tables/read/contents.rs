//! What a table holds of each date, from its log alone.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::tables::error::TableError;
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

/// A version of a table, and what it holds of each date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableContents {
    /// The version.
    pub version: u64,
    /// The dates that have files.
    pub dates: BTreeMap<Date, DateContents>,
}

/// The files of one date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateContents {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl<R: TableRow> Table<R> {
    /// Returns the latest version of the table and the files of each date; `None` if the table does not exist. Only its log
    /// is read.
    ///
    /// # Errors
    /// [`TableError`], if the log cannot be read.
    pub async fn contents(&self) -> Result<Option<TableContents>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(None);
            };
            let mut contents = TableContents {
                version: snapshot.version,
                ..TableContents::default()
            };
            for file in snapshot.files_between(None) {
                if let Some(date) = file.date {
                    let of_date = contents.dates.entry(date).or_default();
                    of_date.files += 1;
                    of_date.bytes += file.bytes;
                }
            }
            handle.keep(snapshot);
            Ok(Some(contents))
        })
        .await
    }
}
