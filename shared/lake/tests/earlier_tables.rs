//! Tables of an earlier version of the pipeline: the first append adds the columns that they lack, also with concurrent
//! writers and lost responses, and all readers read them.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;

use support::faulty_store::Fault;
use support::*;
use xact_lake::{AttachmentRow, Location};

/// Returns a copy of a table of version 0.2 with seven rows.
fn earlier() -> (tempfile::TempDir, Location) {
    let (folder, location) = folder();
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/xact_attachments-0.2");
    copy(&original, &local(&location));
    (folder, location)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names_in(from) {
        let (from, to) = (from.join(&name), to.join(&name));
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
    let mut names = names_in(&log(location));
    names.retain(|name| name.ends_with(".json"));
    let entries = names
        .iter()
        .map(|name| fs::read_to_string(log(location).join(name)).unwrap() + "\n");
    let actions = entries.collect::<String>();
    let actions = actions
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let changes: Vec<Value> = actions.filter(|action| !action["metaData"].is_null()).collect();
    let schema = changes.last().unwrap()["metaData"]["schemaString"].as_str().unwrap();
    let schema: Value = serde_json::from_str(schema).unwrap();
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

    add_offsets(&table, "new", 3..5).await;
    add(&table, [heic("photo")]).await;
    let (after, changes) = columns(&location);
    assert_eq!(changes, 2, "one addition for both appends");
    assert_eq!(after[..before.len()], before, "the existing columns keep their order");
    assert_eq!(after[before.len()..], ["declared_content_type"]);

    // The old rows and positions are still there, and a rewrite keeps them.
    assert_eq!(positions(&table).await, at(5));
    table.optimize(1 << 27, || false).await.unwrap();
    let declared = read_by_python(&location, "declared_content_type");
    assert_eq!(declared.iter().filter(|value| *value == "-").count(), 9);
    assert_eq!(declared.iter().filter(|value| *value == "image/jpeg").count(), 1);
    assert_eq!(read_by_python(&location, "media_id").len(), 10);
}

#[tokio::test]
async fn two_writers_add_a_column_once() {
    let (_folder, location) = earlier();
    let append = async |name| add(&table(&location), [heic(name)]).await;
    let added = tokio::join!(append("one"), append("two"));
    assert_eq!(added, ((1, 0, 0), (1, 0, 0)));
    let (names, changes) = columns(&location);
    assert_eq!(changes, 2);
    assert_eq!(names.iter().filter(|name| *name == "declared_content_type").count(), 1);
    assert_eq!(read_by_python(&location, "media_id").len(), 9);
}

#[tokio::test]
async fn an_addition_whose_response_is_lost_is_not_repeated() {
    for fault in Fault::RESOLVED {
        let (_folder, location) = earlier();
        let (plan, table) = faulty(&location, [fault]);
        assert_eq!(add(&table, [heic("photo")]).await, (1, 0, 0), "{fault:?}");
        assert_eq!((columns(&location).1, plan.pending()), (2, 0), "{fault:?}");
        assert_eq!(texts(&table, "media_id").await.len(), 8, "{fault:?}");
    }
}
