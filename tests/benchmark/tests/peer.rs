//! `tests/bench --only results --peer PATH`, with a program that has the command line of kafka-delta-ingest.

#![allow(missing_docs)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use xact_testkit::{Result, WorkDir, assert_contains, context, python};

const NAME: &str = "kafka-delta-ingest 0.0.0-stand-in";
const RESULTS: u64 = 20_000;

/// Writes the program; `variables` as a shell has them before a command.
fn stand_in(dir: &WorkDir, variables: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in.py");
    let (python, script) = (python::interpreter()?, script.display());
    let program = dir.join("kafka-delta-ingest");
    let text = format!("#!/bin/sh\n{variables} exec '{}' '{script}' \"$@\"\n", python.display());
    fs::write(&program, text).map_err(context("the stand-in"))?;
    fs::set_permissions(&program, Permissions::from_mode(0o755)).map_err(context("the stand-in"))?;
    Ok(program)
}

/// Runs `tests/bench` without its build.
fn bench(peer: &Path, only: &str) -> Result<(Output, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_xact-benchmark"))
        .args(["--json", "--only", only, "--events", &RESULTS.to_string(), "--peer"])
        .arg(peer)
        .output()
        .map_err(context("tests/bench"))?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output, errors))
}

#[test]
fn both_programs_write_all_rows_of_the_same_topic() -> Result<()> {
    let dir = WorkDir::new("peer")?;
    let (output, errors) = bench(&stand_in(&dir, "")?, "results")?;
    assert!(output.status.success(), "{errors}");
    let figures: Value = serde_json::from_slice(&output.stdout).map_err(context("the figures"))?;
    let figure = |what: &str| {
        let figure = &figures[format!("{what}, next to {NAME}")];
        (figure["product"].as_f64(), figure["baseline"].as_f64())
    };
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let all = Some(RESULTS as f64);
    assert_eq!(figure("the same: rows in the table"), (all, all), "{figures}");
    let none = (Some(0.0), Some(0.0));
    assert_eq!(figure("the same: results without a row"), none);
    assert_eq!(figure("the same: rows of a result that has one already"), none);
    assert_eq!(figure("the same: commits with rows").1, Some(10.0), "{figures}");
    for what in [
        "results into Delta, batches of 2000",
        "the same: CPU time of 100,000 rows",
    ] {
        let (product, peer) = figure(what);
        assert!(product > Some(0.0) && peer > Some(0.0), "{what}: {figures}");
    }
    Ok(())
}

#[test]
fn a_program_that_ends_early_fails_the_benchmark_with_its_last_lines() -> Result<()> {
    let dir = WorkDir::new("peer-ends")?;
    let (output, errors) = bench(&stand_in(&dir, "STAND_IN=ends")?, "results")?;
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let ended = "tests/bench: kafka-delta-ingest: ended (exit status: 1) with 2000 of 20000 rows in its table";
    assert_contains(&errors, &[ended, "the table has gone"]);
    Ok(())
}

#[test]
fn a_wrong_path_or_part_ends_the_run_before_anything_is_measured() -> Result<()> {
    let dir = WorkDir::new("peer-path")?;
    let program = stand_in(&dir, "")?;
    for (path, only, expected) in [
        (dir.join("missing"), "results", "there is no such file"),
        (dir.path().to_owned(), "results", "is a folder"),
        (PathBuf::from("/bin/true"), "results", "is not kafka-delta-ingest"),
        (program, "idle,cost", "add it: --only results"),
    ] {
        let (output, errors) = bench(&path, only)?;
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("tests/bench: --peer"), "{errors}");
        assert_contains(&errors, &[expected]);
        assert!(output.stdout.is_empty());
    }
    Ok(())
}
