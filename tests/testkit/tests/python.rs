//! The Python environment, and the reader of the Delta tables against tables that Python itself wrote.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use xact_testkit::{Result, WorkDir, python, tables};

/// Runs Python code in the test environment.
fn python(dir: &WorkDir, code: &str, args: &[&Path]) -> Result<String> {
    let script = dir.join("script.py");
    fs::write(&script, code).unwrap();
    python::run_script(&script, args)
}

#[test]
fn the_environment_has_the_pinned_readers() -> Result<()> {
    let dir = WorkDir::new("python")?;
    let code = "
import importlib.metadata
for package in importlib.metadata.distributions():
    print(f'{package.name}=={package.version}')
";
    let versions = python(&dir, code, &[])?;
    let pinned = include_str!("../../requirements.txt");
    for line in pinned.lines().filter(|line| line.contains("==")) {
        assert!(versions.contains(line), "{line} is pinned, installed is\n{versions}");
    }
    Ok(())
}

#[test]
fn the_error_of_a_failed_script_contains_its_stderr() -> Result<()> {
    let dir = WorkDir::new("python")?;
    let error = python(&dir, "raise SystemExit('no such column')", &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("no such column"), "{error}");
    Ok(())
}

/// Writes tables as specified, except for the changes by `SABOTAGE`.
const WRITE_TABLES: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import datetime as dt, pathlib
import pyarrow as pa
from deltalake import write_deltalake
from read_tables import TABLES

lake = pathlib.Path(sys.argv[2])
moment = dt.datetime(2024, 12, 31, 12, 0, 0, 5, tzinfo=dt.timezone.utc)
values = {"string": "text", "long": 2**40, "integer": 7, "timestamp": moment, "date": moment.date()}
arrow = {"string": pa.string(), "long": pa.int64(), "integer": pa.int32(),
         "timestamp": pa.timestamp("us", "UTC"), "date": pa.date32()}

def table(name, rows):
    columns = TABLES[name].columns
    schema = pa.schema([(column, arrow[kind]) for column, kind in columns])
    row = lambda n: {column: f"{values[kind]} {n}" if kind == "string" else values[kind] for column, kind in columns}
    return pa.Table.from_pylist([row(n) for n in range(rows)], schema)

def write(name, rows, change=lambda data: data, partition_by=["event_date"]):
    write_deltalake(lake / name, change(table(name, rows)), partition_by=partition_by, mode="append")

SABOTAGE
"#;

fn write_tables(lake: &WorkDir, how: &str) -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let code = WRITE_TABLES.replace("SABOTAGE", how);
    python(lake, &code, &[&tests, lake.path()]).map(drop)
}

#[test]
fn rows_come_back_in_their_types_and_a_missing_table_is_empty() -> Result<()> {
    let lake = WorkDir::new("lake")?;
    write_tables(&lake, "write('xact_events', 3); write('xact_attachments', 2)")?;
    let tables = tables::read(lake.path())?;
    assert_eq!(
        (tables.events.len(), tables.attachments.len(), tables.failed.len()),
        (3, 2, 0)
    );
    let row = &tables.attachments[0];
    assert_eq!(row["event_date"], "2024-12-31");
    assert_eq!(row["created_at"], "2024-12-31T12:00:00.000005Z");
    assert_eq!(row["bytes_downloaded"], 1_u64 << 40);
    assert_eq!(row["retry_count"], 7);
    Ok(())
}

#[test]
fn tables_that_violate_the_specification_are_rejected() -> Result<()> {
    let refused = [
        ("write('xact_events', 1); write('xact_events', 1)", "event_id"),
        (
            "write('xact_attachments', 1, lambda data: data.rename_columns(['medium', *data.column_names[1:]]))",
            "media_id",
        ),
        (
            "write('xact_attachments', 1, lambda data: data.select(data.column_names[::-1]))",
            "order",
        ),
        (
            "write('xact_attachments_failed', 1, partition_by=['trace_id'])",
            "partition",
        ),
        (
            "write('xact_attachments_failed', 1, lambda data: data.set_column(8, 'retry_count', data['retry_count'].cast('int64')))",
            "retry_count",
        ),
    ];
    for (how, complaint) in refused {
        let lake = WorkDir::new("lake")?;
        write_tables(&lake, how)?;
        let error = tables::read(lake.path()).unwrap_err().to_string();
        assert!(error.contains(complaint), "{how}: {error}");
    }
    Ok(())
}

#[test]
fn duplicates_are_returned_on_request() -> Result<()> {
    let lake = WorkDir::new("lake")?;
    write_tables(&lake, "write('xact_events', 2); write('xact_events', 1)")?;
    assert!(tables::read(lake.path()).is_err());
    assert_eq!(tables::read_with_duplicates(lake.path())?.events.len(), 3);
    Ok(())
}
