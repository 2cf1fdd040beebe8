//! The audit log: one JSON object a line, on disk before its offset is committed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// A file, or the process's log.
#[derive(Clone)]
pub(crate) enum AuditLog {
    File(PathBuf, Arc<Mutex<Writer>>),
    Log,
}

/// The open file.
pub(crate) struct Writer {
    file: File,
    /// The last line was cut short, by a full disk perhaps: the next one begins a new line.
    is_cut: bool,
}

/// The audit log cannot be written.
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
    /// Opens the file for appending, its folder made if it is missing; without a path the lines go to the log.
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

    /// Writes a line; blocks for the disk. A redelivered dead letter is a second line: the log tells what happened, and that did.
    pub(crate) fn write(&self, line: &Value) -> Result<(), AuditError> {
        match self {
            Self::File(path, writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let begin = if writer.is_cut { "\n" } else { "" };
                let bytes = format!("{begin}{line}\n").into_bytes();
                // One write: lines of two processes do not mix.
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
