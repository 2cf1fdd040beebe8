//! `leftovers` lists what killed uploads of older versions left behind, and deletes it on request, in both kinds of lake.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::{Answer, Fleet, command, failed};
use xact_testkit::{Kafka, Result};

const HOUR: Duration = Duration::from_secs(3600);

fn leftovers(fleet: &Fleet, more: &[&str]) -> Result<Answer> {
    command(&[&["leftovers"], more].concat(), fleet.environment.clone(), &fleet.dir)
}

fn listed(fleet: &Fleet, more: &[&str]) -> Result<Value> {
    let text = leftovers(fleet, &[&["--json"], more].concat())?.success()?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string(), text))
}

fn write(path: &Path, content: &[u8], age: Duration) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// `costs`: the cost lines of a dry run and of the deletion; a local lake has none.
fn old_ones_are_deleted_and_nothing_else(fleet: &Fleet, costs: Option<[&str; 2]>) -> Result<()> {
    let nothing = listed(fleet, &[])?;
    assert_eq!(nothing["files"], json!([]), "there is no such folder");
    assert_eq!(nothing["requests"].as_u64(), costs.map(|_| 1));

    let folder = fleet.files().join(".xact-uploads");
    let (old, older, young) = (folder.join("a.part"), folder.join("0b/b.part"), folder.join("c.part"));
    write(&old, b"abc", 30 * HOUR);
    write(&older, b"de", 300 * HOUR);
    write(&young, b"f", HOUR);
    write(&fleet.files().join("x.pdf"), b"an upload", 300 * HOUR);

    let dry_run = leftovers(fleet, &[])?.success()?;
    for line in [
        "5 bytes",
        "2 unfinished files older than 24 h",
        ".xact-uploads/0b/b.part",
        "dry run: pass --execute to apply",
    ] {
        assert!(dry_run.contains(line), "{line}: {dry_run}");
    }
    assert!(old.exists() && older.exists());
    let longer = listed(fleet, &["--older-than-hours", "100"])?;
    assert_eq!((&longer["bytes"], &longer["deleted"]), (&json!(2), &json!(false)));

    let deleted = leftovers(fleet, &["--execute"])?.success()?;
    assert!(
        deleted.contains("2 unfinished files older than 24 h, 5 bytes deleted"),
        "{deleted}"
    );
    assert!(!old.exists() && !older.exists() && young.exists());
    assert!(fleet.files().join("x.pdf").exists());
    match costs {
        None => assert!(!format!("{dry_run}{deleted}").contains("CU seconds")),
        Some(lines) => assert!(
            dry_run.contains(lines[0]) && deleted.contains(lines[1]),
            "{dry_run}{deleted}"
        ),
    }
    let again = listed(fleet, &["--execute"])?;
    assert_eq!((&again["files"], &again["bytes"]), (&json!([]), &json!(0)));
    assert_eq!(leftovers(fleet, &["--older-than-hours", "0"])?.code, Some(2));
    Ok(())
}

#[test]
fn in_a_local_lake() -> Result<()> {
    let fleet = Fleet::new(Kafka::shared()?.bootstrap(), "leftovers-local", &[])?;
    old_ones_are_deleted_and_nothing_else(&fleet, None)
}

#[test]
fn in_one_lake() -> Result<()> {
    let (fleet, _lake, _identity) = one_lake::fleet("leftovers", &[])?;
    let costs = [
        "OneLake: 1 request, 0.1626 CU seconds (iterative_read 1)",
        "OneLake: 3 requests, 0.1626 CU seconds (iterative_read 1, delete 2)",
    ];
    old_ones_are_deleted_and_nothing_else(&fleet, Some(costs))
}
