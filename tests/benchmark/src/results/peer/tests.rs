//! Each kind of a wrong path, and the line that it is answered with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Peer;
use xact_testkit::{Result, WorkDir, assert_contains};

/// Writes a file with a mode.
fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Returns the error of a path, which must be a single line that names the path.
fn error(path: &Path) -> String {
    let Err(error) = Peer::find(path) else {
        panic!("{} was accepted", path.display());
    };
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    assert_contains(&line, &[&format!("--peer {}: ", path.display())]);
    line
}

#[test]
fn a_path_that_is_not_the_program_gives_one_line_that_says_what_to_do() -> Result<()> {
    let dir = WorkDir::new("peer-path")?;
    let missing = error(&dir.join("missing"));
    assert_contains(&missing, &["no such file"]);
    assert_contains(&missing, &["cargo build --release"]);

    let below_a_file = dir.join("file");
    file(&below_a_file, "text", 0o644);
    assert_contains(&error(&below_a_file.join("x")), &["cannot be read"]);
    assert_contains(&error(&below_a_file), &["chmod +x"]);
    assert_contains(&error(dir.path()), &["is a folder; pass the path of the program"]);

    let no_program = dir.join("no-program");
    file(&no_program, "\u{7f}ELF for another machine", 0o755);
    assert_contains(&error(&no_program), &["built for this machine"]);

    let other = dir.join("other");
    file(&other, "#!/bin/sh\necho other 1.0\necho more\n", 0o755);
    assert_contains(
        &error(&other),
        &["is not kafka-delta-ingest: `--version` prints \"other 1.0\""],
    );
    let similar = dir.join("similar");
    file(&similar, "#!/bin/sh\necho kafka-delta-ingestion 1.0\n", 0o755);
    assert_contains(&error(&similar), &["is not kafka-delta-ingest"]);
    let silent = dir.join("silent");
    file(&silent, "#!/bin/sh\nexit 3\n", 0o755);
    assert_contains(&error(&silent), &["prints \"\""]);
    Ok(())
}

#[test]
fn a_program_that_prints_its_name_is_accepted_with_its_version() -> Result<()> {
    let dir = WorkDir::new("peer-found")?;
    let program = dir.join("renamed");
    file(&program, "#!/bin/sh\necho kafka-delta-ingest 0.4.0\n", 0o755);
    let peer = Peer::find(&program).map_err(xact_testkit::context("the peer"))?;
    assert_eq!(peer.name, "kafka-delta-ingest 0.4.0");
    Ok(())
}
