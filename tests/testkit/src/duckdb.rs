//! DuckDB with its Delta extension, which reads tables by the Delta kernel: an independent reader beside `tables`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Result, process::output, python};

const REQUIREMENTS: &str = include_str!("../../duckdb/requirements.txt");

/// The interpreter with DuckDB in the test cache, which the first call on a machine makes (about 40 s and 155 MB).
pub fn install() -> Result<PathBuf> {
    python::environment("duckdb", REQUIREMENTS)
}

/// What [`crate::spark::Spark::read`] says of a table, by DuckDB.
pub fn read(table: &Path) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../duckdb/read_table.py");
    let mut command = Command::new(install()?);
    let text = output(
        command.arg(script).arg(table),
        &format!("DuckDB could not read {}", table.display()),
    )?;
    serde_json::from_str(&text).map_err(|error| crate::error::failed(format!("read_table.py: {error}"), &text[..]))
}
