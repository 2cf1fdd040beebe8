//! `leftovers` lists what killed uploads of older versions left behind, and deletes it on request, in both kinds of lake.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::{Answer, Fleet, Result, assert_contains};

const HOUR: Duration = Duration::from_secs(3600);

fn leftovers(fleet: &Fleet, more: &[&str]) -> Result<Answer> {
    fleet.run(&[&["leftovers"], more].concat())
}

fn listed(fleet: &Fleet, more: &[&str]) -> Result<Value> {
    let answer = leftovers(fleet, &[&["--json"], more].concat())?;
    assert_eq!(answer.code, Some(0), "{}", answer.text);
    answer.json()
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

    let dry_run = leftovers(fleet, &[])?.ended_with(
        0,
        &[
            "5 bytes",
            "2 unfinished files older than 24 h",
            ".xact-uploads/0b/b.part",
            "dry run: pass --execute to apply",
        ],
    )?;
    assert!(old.exists() && older.exists());
    let longer = listed(fleet, &["--older-than-hours", "100"])?;
    assert_eq!((&longer["bytes"], &longer["deleted"]), (&json!(2), &json!(false)));

    let deleted = ["2 unfinished files older than 24 h, 5 bytes deleted"];
    let deleted = leftovers(fleet, &["--execute"])?.ended_with(0, &deleted)?;
    assert!(!old.exists() && !older.exists() && young.exists());
    assert!(fleet.files().join("x.pdf").exists());
    let printed = dry_run + &deleted;
    assert_eq!(printed.contains("CU seconds"), costs.is_some());
    assert_contains(&printed, costs.as_ref().map_or(&[][..], |costs| costs));
    let again = listed(fleet, &["--execute"])?;
    assert_eq!((&again["files"], &again["bytes"]), (&json!([]), &json!(0)));
    assert_eq!(leftovers(fleet, &["--older-than-hours", "0"])?.code, Some(2));
    Ok(())
}

#[test]
fn in_a_local_lake() -> Result<()> {
    let fleet = Fleet::shared("leftovers-local", &[])?;
    old_ones_are_deleted_and_nothing_else(&fleet, None)
}

#[test]
fn in_one_lake() -> Result<()> {
    let (fleet, _lake) = one_lake::fleet("leftovers", &[])?;
    let costs = [
        "OneLake: 1 request, 0.1626 CU seconds (iterative_read 1)",
        "OneLake: 3 requests, 0.1626 CU seconds (iterative_read 1, delete 2)",
    ];
    old_ones_are_deleted_and_nothing_else(&fleet, Some(costs))
}
