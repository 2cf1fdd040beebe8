//! `xact-pipeline --dev`, and where it keeps things.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::{Result, WorkDir, tables, wait_until};
use crate::{Running, failed, secrets};

/// A development run. Everything it writes is below [`Pipeline::folder`].
pub struct Pipeline {
    /// The process.
    pub running: Running,
    folder: PathBuf,
}

impl Pipeline {
    /// Starts `xact-pipeline --dev` with further `args`; its folder is `dev` in `dir`, its log `{name}.log`. Does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, args: &[&str], environment: &[(&str, &str)], dir: &WorkDir) -> Result<Self> {
        let folder = dir.join("dev");
        let folder_text = folder.display().to_string();
        let mut all = vec!["--dev", "--dev-dir", &folder_text];
        all.extend(args);
        let mut variables = crate::variables(&[("LOG_LEVEL", "info")]);
        // The last one of a name counts.
        variables.extend(crate::variables(environment));
        Ok(Self {
            running: Running::start(name, "xact-pipeline", &all, variables, dir)?,
            folder,
        })
    }

    /// Starts `xact-pipeline --dev` and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or does not get ready.
    pub fn start(environment: &[(&str, &str)], dir: &WorkDir) -> Result<Self> {
        let mut pipeline = Self::spawn("pipeline", &[], environment, dir)?;
        pipeline.running.wait_ready()?;
        Ok(pipeline)
    }

    /// The broker that it printed.
    ///
    /// # Errors
    /// When it prints none.
    pub fn broker(&self) -> Result<String> {
        let printed = wait_until(Duration::from_secs(30), "the pipeline prints its broker", || {
            let log = self.running.process.log();
            let line = log.lines().find_map(|line| line.trim().strip_prefix("broker "))?;
            line.split_whitespace().next().map(str::to_owned)
        });
        printed.map_err(|error| self.running.process.error(&error.to_string()))
    }

    /// The port of the sample server that it printed.
    ///
    /// # Errors
    /// When it prints none.
    pub fn sample_port(&self) -> Result<u16> {
        self.broker()?;
        let log = self.running.process.log();
        let port = log.lines().find_map(|line| {
            let address = line.split_once("http://localhost:")?.1;
            address.split_whitespace().next()?.parse().ok()
        });
        port.ok_or_else(|| self.running.process.error("names no sample server"))
    }

    /// The development folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The root of the files in the lake.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.join("lake/Files")
    }

    /// What the Delta tables hold, by Python's readers.
    ///
    /// # Errors
    /// When a reader refuses, or a promise to readers is broken.
    pub fn tables(&self) -> Result<tables::Tables> {
        read_tables(&self.folder.join("lake/Tables"))
    }

    /// The lines of the audit log.
    ///
    /// # Errors
    /// When a line is no JSON.
    pub fn audit(&self) -> Result<Vec<Value>> {
        audit_lines(&self.folder.join("audit.jsonl"))
    }

    /// The manifests of the demos that ran here: one object per event that was sent.
    ///
    /// # Errors
    /// When a line is no JSON.
    pub fn manifest(&self) -> Result<Vec<Value>> {
        let entries = fs::read_dir(&self.folder).map_err(|error| failed("the folder", error.to_string()))?;
        let mut events = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("demo-") && name.ends_with(".jsonl") {
                events.extend(json_lines(&entry.path())?);
            }
        }
        Ok(events)
    }

    /// Files that are in the cache now.
    #[must_use]
    pub fn cached(&self) -> Vec<PathBuf> {
        files_below(&self.folder.join("cache"))
    }
}

/// The tables in a folder of the lake, which hold no secret.
///
/// # Errors
/// When a reader refuses.
pub fn read_tables(lake: &Path) -> Result<tables::Tables> {
    let read = tables::read(lake)?;
    let rows = [&read.events, &read.attachments, &read.failed];
    for row in rows.into_iter().flatten() {
        secrets::assert_none("a table", &row.to_string());
    }
    Ok(read)
}

/// The lines of an audit log, which hold no secret.
///
/// # Errors
/// When a line is no JSON.
pub fn audit_lines(path: &Path) -> Result<Vec<Value>> {
    let lines = json_lines(path)?;
    for line in &lines {
        secrets::assert_none("the audit log", &line.to_string());
    }
    Ok(lines)
}

/// One JSON value a line; a file that is not there has none.
///
/// # Errors
/// When a line is no JSON.
pub fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| failed(format!("{}: {error}", path.display()), line)))
        .collect()
}

/// All files below a folder.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                // What is still being written is no file of the lake yet.
                Ok(kind) if kind.is_dir() && entry.file_name() == ".xact-uploads" => {}
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files
}
