//! Tables that are altered with Apache Spark, the reference writer, while this crate writes to them.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]
#![expect(clippy::await_holding_lock, reason = "a test keeps its Spark; the others wait")]

#[path = "../support/mod.rs"]
mod support;

mod features;
mod restores;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use support::{at, local_location, sourced, table};
use xact_lake::{AttachmentRow, Table, TableError};
use xact_testkit::Spark;

/// A table in a folder, for this crate and for Spark.
struct Bench {
    _folder: tempfile::TempDir,
    path: PathBuf,
    /// The handle of the first writer.
    table: Arc<Table<AttachmentRow>>,
}

impl Bench {
    /// Returns a table with one commit for each of these ranges of offsets.
    async fn with(commits: impl IntoIterator<Item = Range<i64>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let table = table(&local_location(&path));
        for offsets in commits {
            append(&table, offsets).await.unwrap();
        }
        Self {
            _folder: folder,
            path,
            table,
        }
    }

    /// Returns another handle of the table.
    fn open(&self) -> Arc<Table<AttachmentRow>> {
        table(&local_location(&self.path))
    }

    /// Runs statements, separated by `; `. In them `{t}` is the table, and `{set}` begins one that sets properties.
    fn run(&self, spark: &mut Spark, statements: &str) {
        let statements = statements.replace("{set}", "ALTER TABLE {t} SET TBLPROPERTIES");
        for statement in statements.replace("{t}", &name(&self.path)).split("; ") {
            spark.sql(statement).unwrap();
        }
    }

    /// Checks that Spark reads each of the rows with these offsets once, and no others.
    fn assert_each_once(&self, spark: &mut Spark, offsets: Range<i64>, case: &str) {
        let mut expected: Vec<String> = offsets.map(|offset| format!("k-{offset}")).collect();
        expected.sort();
        assert_eq!(self.media_ids(spark), expected, "{case}");
    }

    /// Returns the media ids that Spark reads, sorted.
    fn media_ids(&self, spark: &mut Spark) -> Vec<String> {
        let statement = format!("SELECT media_id FROM {} ORDER BY 1", name(&self.path));
        let text = |row: &Value| row["media_id"].as_str().unwrap().to_owned();
        spark.sql(&statement).unwrap().iter().map(text).collect()
    }
}

/// The table's name in Spark's SQL.
fn name(table: &Path) -> String {
    format!("delta.`{}`", table.display())
}

/// Appends the rows with these offsets, and returns how many were added.
async fn append(table: &Table<AttachmentRow>, offsets: Range<i64>) -> Result<usize, TableError> {
    let next = at(offsets.end);
    let appended = table.append(sourced("k", offsets), next).await?;
    Ok(appended.added)
}
