//! The other program: kafka-delta-ingest (<https://github.com/delta-io/kafka-delta-ingest>), which writes a topic of JSON into a
//! Delta table with the offsets in its commits. Who measures names a binary; nothing of it is part of this project.
//!
//! It does less than the product: it takes each message as a row, without checks, redaction and dead letters, and does not look
//! whether the key of a row is in the table already. It requires an existing table, and appends when it has `-m` messages (with
//! `-b 1`: as soon as they are a Parquet row group) or `-l` seconds have passed; `-c` writes a checkpoint each ten commits. Its option
//! to end by itself (`-e`) is not used: it ends at the first message behind those that were there at its start, and what it has
//! buffered then is not written. So it runs until its table has all rows. All of this is from its source (version 0.4.0, commit
//! c6d42de); the test uses a stand-in.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bench::observe;
use crate::results::raw::{BATCH, create_table};
use crate::results::rows::RESULTS;
use crate::results::written::{LOG_INTERVAL, Written};
use crate::table_log::TableLog;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Process, Result, WorkDir};

/// Its name: the first word that `--version` prints, and part of all figures.
const NAME: &str = "kafka-delta-ingest";
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without a new row after which it is stopped. It needs `-l` seconds for the last rows.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest part of what another program prints that is in an error.
const QUOTED_CHARS: usize = 60;

/// A binary of kafka-delta-ingest.
pub(crate) struct Peer {
    program: PathBuf,
    /// Name and version.
    pub(crate) name: String,
}

/// Why a path does not name the program; each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error(
        "--peer {}: there is no such file; build kafka-delta-ingest in a clone of github.com/delta-io/kafka-delta-ingest \
         (cargo build --release) and pass the path of its target/release/kafka-delta-ingest",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("--peer {}: cannot be read ({error}); pass a path that this user can read", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("--peer {}: is a folder; pass the path of the program kafka-delta-ingest itself", .0.display())]
    Folder(PathBuf),
    #[error("--peer {path}: is not executable; run `chmod +x {path}`, or pass the path of the program", path = .0.display())]
    NotExecutable(PathBuf),
    #[error("--peer {}: does not run ({error}); pass a binary of kafka-delta-ingest that was built for this machine", path.display())]
    DoesNotRun { path: PathBuf, error: String },
    #[error("--peer {}: is not kafka-delta-ingest: `--version` prints {printed:?}; pass the path of kafka-delta-ingest", path.display())]
    OtherProgram { path: PathBuf, printed: String },
}

impl Peer {
    /// Checks a path, by running the program with `--version`.
    pub(crate) fn find(path: &Path) -> std::result::Result<Self, PeerError> {
        let program = path.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PeerError::Missing(path.to_owned()),
            _ => PeerError::Unreadable {
                path: path.to_owned(),
                error,
            },
        })?;
        let metadata = fs::metadata(&program).map_err(|error| PeerError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        if metadata.is_dir() {
            return Err(PeerError::Folder(path.to_owned()));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(PeerError::NotExecutable(path.to_owned()));
        }
        let printed = version(&program).map_err(|error| PeerError::DoesNotRun {
            path: path.to_owned(),
            error: first_line(&error.to_string()),
        })?;
        if printed.split_whitespace().next() != Some(NAME) {
            return Err(PeerError::OtherProgram {
                path: path.to_owned(),
                printed,
            });
        }
        Ok(Self { program, name: printed })
    }

    /// Lets it write the topic into a table of the product's columns in `dir`.
    pub(super) fn measure(&self, broker: &str, dir: &Path, results: u64) -> Result<Written> {
        let table = dir.join("peer");
        create_table(&table)?;
        // As the product here: batches of 2,000 rows or a second, warnings in the log.
        let batch = BATCH.to_string();
        let location = table.display().to_string();
        let mut args = vec!["ingest", RESULTS, &location, "-k", broker, "-g", "peer", "-a", "peer"];
        args.extend(["-l", "1", "-m", &batch, "-b", "1", "-c"]);
        args.extend(["-t", "event_date: substr(original_timestamp,`0`,`10`)"]);
        let mut process = Process::spawn(NAME, &self.program, args, [("RUST_LOG", "warn")], dir)?;
        let id = process.id();
        let mut log = TableLog::new(&table);
        let mut progress = (0, Instant::now());
        let observed = observe(
            "its table has all rows",
            results,
            LOG_INTERVAL,
            || cpu_seconds(id),
            || {
                let rows = log.count()?;
                if rows > progress.0 {
                    progress = (rows, Instant::now());
                }
                if rows < results {
                    let so_far = format!("with {rows} of {results} rows in its table");
                    if let Some(status) = process.ended()? {
                        return Err(process.error(&format!("ended ({status}) {so_far}")));
                    }
                    if progress.1.elapsed() > STALL_TIMEOUT {
                        return Err(process.error(&format!("has written nothing for {STALL_TIMEOUT:?}, {so_far}")));
                    }
                }
                Ok(rows)
            },
        )?;
        let kib = process.most_resident_kib();
        process.kill()?;
        log.count()?;
        Written::of(&observed, &log, kib, &table, results)
    }
}

/// Returns the first line that `--version` prints.
fn version(program: &Path) -> Result<String> {
    let dir = WorkDir::new("peer")?;
    let none: [(&str, &str); 0] = [];
    let mut process = Process::spawn(NAME, program, ["--version"], none, dir.path())?;
    process.wait(VERSION_TIMEOUT)?;
    Ok(first_line(&process.log()))
}

/// Returns the first line of a text, shortened.
fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(QUOTED_CHARS)
        .collect()
}

#[cfg(test)]
mod tests;
