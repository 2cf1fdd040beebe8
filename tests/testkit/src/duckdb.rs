//! DuckDB with its Delta extension (delta-kernel): an independent reader in addition to `tables`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Result, context, process::output, python};

const REQUIREMENTS: &str = include_str!("../../duckdb/requirements.txt");

/// Returns the Python interpreter with DuckDB in the test cache. The first call on a machine installs it (about 40 s, 155 MB).
pub fn install() -> Result<PathBuf> {
    python::environment("duckdb", REQUIREMENTS)
}

/// Reads a table with DuckDB; the result has the form of that of [`crate::spark::Spark::read`].
pub fn read(table: &Path) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../duckdb/read_table.py");
    let mut command = Command::new(install()?);
    let what = format!("DuckDB could not read {}", table.display());
    let text = output(command.arg(script).arg(table), &what)?;
    serde_json::from_str(&text).map_err(context(&text))
}
