//! The audit log: one JSON object per line, synced to disk before the record's offset is committed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

/// Where audit lines are written: to a file, or to the process's log.
#[derive(Clone)]
pub(crate) enum AuditLog {
    File(PathBuf, Arc<Mutex<Writer>>),
    Log,
}

/// The open file.
pub(crate) struct Writer {
    file: File,
    /// The last write failed and may have left part of a line: the next one starts on a new line.
    is_cut: bool,
}

/// The audit log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the audit log {path} cannot be {what}: {error}; check AUDIT_LOG_PATH, its folder's permissions and the free space"
)]
pub(crate) struct AuditError {
    path: String,
    what: &'static str,
    error: std::io::Error,
}

impl AuditLog {
    /// Opens the file for appending and creates its folder if it is missing. Without a path, lines go to the log.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, AuditError> {
        let Some(path) = path else {
            return Ok(Self::Log);
        };
        let failed = |error| AuditError {
            path: path.display().to_string(),
            what: "opened",
            error,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        let writer = Writer { file, is_cut: false };
        Ok(Self::File(path.to_owned(), Arc::new(Mutex::new(writer))))
    }

    /// Writes a line and waits for the disk. A redelivered dead letter adds a second line.
    pub(crate) fn write(&self, line: &Value) -> Result<(), AuditError> {
        match self {
            Self::File(path, writer) => {
                let mut writer = writer.lock();
                let begin = if writer.is_cut { "\n" } else { "" };
                let bytes = format!("{begin}{line}\n").into_bytes();
                // A single write in append mode: lines of two processes do not interleave.
                let written = writer.file.write_all(&bytes).and_then(|()| writer.file.sync_data());
                writer.is_cut = written.is_err();
                written.map_err(|error| AuditError {
                    path: path.display().to_string(),
                    what: "written",
                    error,
                })
            }
            Self::Log => {
                tracing::info!(target: "audit", line = line.to_string(), "dead letter");
                Ok(())
            }
        }
    }
}
