//! Tables that are altered with Apache Spark, the reference writer, while this crate writes to them.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]
#![expect(clippy::await_holding_lock, reason = "a test keeps its Spark; the others wait")]

#[path = "../support/mod.rs"]
mod support;

mod features;
mod restores;

use std::path::Path;

use serde_json::Value;

use xact_testkit::Spark;

/// Runs statements in which `{t}` stands for the table in a folder.
fn run(spark: &mut Spark, table: &Path, statements: &[&str]) {
    for statement in statements {
        let statement = statement
            .replace("{t}", &name(table))
            .replace("{path}", &table.display().to_string());
        spark.sql(&statement).unwrap();
    }
}

/// The table's name in Spark's SQL.
fn name(table: &Path) -> String {
    format!("delta.`{}`", table.display())
}

/// The media ids that Spark reads, sorted.
fn media_ids(spark: &mut Spark, table: &Path) -> Vec<String> {
    let rows = spark
        .sql(&format!("SELECT media_id FROM {} ORDER BY 1", name(table)))
        .unwrap();
    let text = |row: &Value| row["media_id"].as_str().unwrap().to_owned();
    rows.iter().map(text).collect()
}
