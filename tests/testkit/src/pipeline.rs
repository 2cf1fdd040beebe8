//! A run of `xact-pipeline --dev` and its folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::{Result, WorkDir, tables, wait_until};
use crate::{Running, failed, secrets};

/// A development run. All of its files are below [`Pipeline::folder`].
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
        // The last value of a name takes effect.
        variables.extend(crate::variables(environment));
        Ok(Self {
            running: Running::start(name, "xact-pipeline", &all, variables, dir)?,
            folder,
        })
    }

    /// Starts `xact-pipeline --dev` and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or does not become ready.
    pub fn start(environment: &[(&str, &str)], dir: &WorkDir) -> Result<Self> {
        let mut pipeline = Self::spawn("pipeline", &[], environment, dir)?;
        pipeline.running.wait_ready()?;
        Ok(pipeline)
    }

    /// Returns the address of the broker that it printed.
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

    /// Returns the port of the sample server that it printed.
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

    /// Returns the development folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the root of the files in the lake.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.join("lake/Files")
    }

    /// Reads the Delta tables with the Python readers.
    ///
    /// # Errors
    /// When a reader fails or the tables violate the specification.
    pub fn tables(&self) -> Result<tables::Tables> {
        read_tables(&self.folder.join("lake/Tables"))
    }

    /// Returns the lines of the audit log.
    ///
    /// # Errors
    /// When a line is not JSON.
    pub fn audit(&self) -> Result<Vec<Value>> {
        audit_lines(&self.folder.join("audit.jsonl"))
    }

    /// Returns the manifests of the demos that ran here: one object per event that was sent.
    ///
    /// # Errors
    /// When a line is not JSON.
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

    /// Returns the files that are in the cache now.
    #[must_use]
    pub fn cached(&self) -> Vec<PathBuf> {
        files_below(&self.folder.join("cache"))
    }
}

/// Reads the tables in a folder of the lake and checks that they contain no planted secret.
///
/// # Errors
/// When a reader fails.
pub fn read_tables(lake: &Path) -> Result<tables::Tables> {
    let read = tables::read(lake)?;
    let rows = [&read.events, &read.attachments, &read.failed];
    for row in rows.into_iter().flatten() {
        secrets::assert_none("a table", &row.to_string());
    }
    Ok(read)
}

/// Reads the lines of an audit log and checks that they contain no planted secret.
///
/// # Errors
/// When a line is not JSON.
pub fn audit_lines(path: &Path) -> Result<Vec<Value>> {
    let lines = json_lines(path)?;
    for line in &lines {
        secrets::assert_none("the audit log", &line.to_string());
    }
    Ok(lines)
}

/// Reads a file with one JSON value per line; a missing file has none.
///
/// # Errors
/// When a line is not JSON.
pub fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| failed(format!("{}: {error}", path.display()), line)))
        .collect()
}

/// Returns all files below a folder.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                // Files that are still being written do not count.
                Ok(kind) if kind.is_dir() && entry.file_name() == ".xact-uploads" => {}
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files
}
