//! Tables of an earlier version of the pipeline: the first append adds the columns that they lack, also with concurrent
//! writers and lost responses, and all readers read them.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use support::faulty_store::{Fault, Faults};
use support::*;
use xact_lake::{AttachmentRow, Location, Table, TableOptions};

/// Returns a copy of a table of version 0.2 with seven rows.
fn earlier() -> (tempfile::TempDir, Location) {
    let (folder, location) = folder();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/xact_attachments-0.2"),
        &local(&location),
    );
    (folder, location)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

fn heic(media_id: &str) -> AttachmentRow {
    AttachmentRow {
        file_type: Some("HEIC".to_owned()),
        content_type: Some("image/heic".to_owned()),
        declared_content_type: Some("image/jpeg".to_owned()),
        ..attachment(media_id)
    }
}

/// Returns the columns of the latest schema, and how often the log changes it.
fn columns(location: &Location) -> (Vec<String>, usize) {
    let mut entries: Vec<_> = fs::read_dir(local(location).join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    entries.sort();
    let text: String = entries
        .iter()
        .map(|path| fs::read_to_string(path).unwrap() + "\n")
        .collect();
    let changes: Vec<serde_json::Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|action| !action["metaData"].is_null())
        .collect();
    let schema = changes.last().unwrap()["metaData"]["schemaString"].as_str().unwrap();
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    let names = fields.iter().map(|field| field["name"].as_str().unwrap().to_owned());
    (names.collect(), changes.len())
}

/// Returns what deltalake and polars for Python read of a column, null as `-`.
fn read_by_python(location: &Location, column: &str) -> Vec<String> {
    let script = tempfile::NamedTempFile::new().unwrap();
    let text = r#"
import sys
import polars
from deltalake import DeltaTable
path, column = sys.argv[1:]
for rows in (polars.read_delta(path), polars.from_arrow(DeltaTable(path).to_pyarrow_table())):
    print(*sorted(rows[column].fill_null("-").to_list()), sep=",")
"#;
    fs::write(script.path(), text).unwrap();
    let table = local(location).display().to_string();
    let printed = xact_testkit::python::run_script(script.path(), [table.as_str(), column]).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], lines[1], "both readers");
    lines[0].split(',').map(str::to_owned).collect()
}

#[tokio::test]
async fn the_first_append_adds_the_columns_that_a_table_lacks() {
    let (_folder, location) = earlier();
    let (before, changes) = columns(&location);
    assert!(!before.contains(&"declared_content_type".to_owned()) && changes == 1);
    let table = table::<AttachmentRow>(&location);
    // Reading does not change the table.
    assert_eq!(texts(&table, "media_id").await.len(), 7);
    assert_eq!(columns(&location).1, 1);

    table.append(sourced("new", 3..5), at(5)).await.unwrap();
    table.append(unsourced([heic("photo")]), none()).await.unwrap();
    let (after, changes) = columns(&location);
    assert_eq!(changes, 2, "one addition for both appends");
    assert_eq!(after[..before.len()], before, "the existing columns keep their order");
    assert_eq!(after[before.len()..], ["declared_content_type"]);

    // The old rows and positions are still there, and a rewrite keeps them.
    assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(5));
    table.optimize(1 << 27, |_| ()).await.unwrap();
    let declared = read_by_python(&location, "declared_content_type");
    assert_eq!(declared.iter().filter(|value| *value == "-").count(), 9);
    assert_eq!(declared.iter().filter(|value| *value == "image/jpeg").count(), 1);
    assert_eq!(read_by_python(&location, "media_id").len(), 10);
}

#[tokio::test]
async fn two_writers_add_a_column_once() {
    let (_folder, location) = earlier();
    let append = |name: &'static str| {
        let table = table::<AttachmentRow>(&location);
        async move { table.append(unsourced([heic(name)]), none()).await }
    };
    let (one, two) = tokio::join!(append("one"), append("two"));
    assert_eq!((one.unwrap().added, two.unwrap().added), (1, 1));
    let (names, changes) = columns(&location);
    assert_eq!(changes, 2);
    assert_eq!(names.iter().filter(|name| *name == "declared_content_type").count(), 1);
    assert_eq!(read_by_python(&location, "media_id").len(), 9);
}

#[tokio::test]
async fn an_addition_whose_response_is_lost_is_not_repeated() {
    for fault in [
        Fault::ResponseLost,
        Fault::ConflictWithItself,
        Fault::Refused,
        Fault::Delayed,
    ] {
        let (_folder, location) = earlier();
        let plan: Arc<Faults> = Faults::new([fault]);
        let options = TableOptions { ..plan.options() };
        let table = Table::<AttachmentRow>::new(location.clone(), options);
        let appended = table.append(unsourced([heic("photo")]), none()).await.unwrap();
        assert_eq!((appended.added, plan.pending()), (1, 0), "{fault:?}");
        assert_eq!(columns(&location).1, 2, "{fault:?}");
        assert_eq!(texts(&table, "media_id").await.len(), 8, "{fault:?}");
    }
}
