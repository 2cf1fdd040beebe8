//! Reads the Delta tables with two independent readers (`tests/read_tables.py`).

use std::{ffi::OsString, path::Path};

use serde_json::Value;

use crate::{Result, context, failed, python};

/// The rows of the tables, each row an object by column name: timestamps as RFC 3339 text in UTC with microseconds,
/// dates as `YYYY-MM-DD`.
#[derive(Debug, Default)]
pub struct Tables {
    /// The rows of `xact_events`.
    pub events: Vec<Value>,
    /// The rows of `xact_attachments`.
    pub attachments: Vec<Value>,
    /// The rows of `xact_attachments_failed`.
    pub failed: Vec<Value>,
    /// The rows of `xact_reconciliation`.
    pub reconciliation: Vec<Value>,
}

/// Reads the tables in `lake`, each in the folder of its name, and checks on the way that deltalake and polars agree, that
/// schema, column order and partition columns are as specified, and that every key occurs once. A table that does not exist
/// yet is empty.
pub fn read(lake: &Path) -> Result<Tables> {
    run(lake, &[])
}

/// Reads the tables without rejecting duplicate keys, for callers that count them.
pub fn read_with_duplicates(lake: &Path) -> Result<Tables> {
    run(lake, &["--allow-duplicates"])
}

fn run(lake: &Path, further: &[&str]) -> Result<Tables> {
    let mut args: Vec<OsString> = vec!["--allow-missing".into()];
    for (option, table) in [
        ("--events", "xact_events"),
        ("--attachments", "xact_attachments"),
        ("--failed", "xact_attachments_failed"),
        ("--reconciliation", "xact_reconciliation"),
    ] {
        args.extend([option.into(), lake.join(table).into_os_string()]);
    }
    args.extend(further.iter().map(OsString::from));
    // The script in the checkout in which the tests were built.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../read_tables.py");
    let text = python::run_script(&script, args)?;
    let mut json: Value = serde_json::from_str(&text).map_err(context(&text))?;
    let mut rows = |name: &str| match json[name].take() {
        Value::Array(rows) => Ok(rows),
        _ => Err(failed(format!("read_tables.py printed no rows of {name}"), &text[..])),
    };
    Ok(Tables {
        events: rows("xact_events")?,
        attachments: rows("xact_attachments")?,
        failed: rows("xact_attachments_failed")?,
        reconciliation: rows("xact_reconciliation")?,
    })
}
