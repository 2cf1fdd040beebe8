//! A run of `xact-pipeline --dev` and its folders.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{self, Answer};
use crate::events::RAW;
use crate::kcat::{self, Record};
use crate::{Result, Running, Variables, context, failed, secrets, tables};

/// A development run. All of its files are below [`Pipeline::folder`].
pub struct Pipeline {
    /// The process.
    pub running: Running,
    folder: PathBuf,
    /// Value of `RETRY_DELAYS`, which commands need too.
    retry_delays: String,
}

impl Pipeline {
    /// Starts `xact-pipeline --dev` with further `args`; its folder is `dev` in `dir`, its log `{name}.log`. Does not wait.
    pub fn spawn(name: &str, args: &[&str], environment: &[(&str, &str)], dir: &Path) -> Result<Self> {
        let folder = dir.join("dev");
        let folder_text = folder.display().to_string();
        let mut all = vec!["--dev", "--dev-dir", &folder_text];
        all.extend(args);
        let mut variables = crate::variables(&[("LOG_LEVEL", "info")]);
        // The last value of a name takes effect.
        variables.extend(crate::variables(environment));
        let delays = environment.iter().find(|(name, _)| *name == "RETRY_DELAYS");
        Ok(Self {
            running: Running::start(name, "xact-pipeline", &all, variables, dir)?,
            folder,
            retry_delays: delays.map_or("1,2,4,8", |(_, delays)| delays).to_owned(),
        })
    }

    /// Starts `xact-pipeline --dev` and waits until it is ready.
    pub fn start(environment: &[(&str, &str)], dir: &Path) -> Result<Self> {
        let mut pipeline = Self::spawn("pipeline", &[], environment, dir)?;
        pipeline.running.wait_ready()?;
        Ok(pipeline)
    }

    /// Returns the address of the broker that it printed.
    pub fn broker(&self) -> Result<String> {
        self.running.wait_until("the pipeline prints its broker", || {
            let log = self.running.process.log();
            let line = log.lines().find_map(|line| line.trim().strip_prefix("broker "))?;
            line.split_whitespace().next().map(str::to_owned)
        })
    }

    /// Runs a command for its broker until it exits, in the folder above [`Pipeline::folder`].
    pub fn run(&self, args: &[&str]) -> Result<Answer> {
        command::command(args, self.client()?, self.dir())
    }

    fn dir(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    fn client(&self) -> Result<Variables> {
        let (broker, delays) = (self.broker()?, self.retry_delays.clone());
        Ok(crate::variables(&[
            ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker),
            ("RETRY_DELAYS", delays),
        ]))
    }

    /// Sends a record to the raw topic.
    pub fn send(&self, key: &str, value: &[u8]) -> Result<()> {
        kcat::produce(&self.broker()?, RAW, key, value)
    }

    /// Returns all records of a topic.
    pub fn records(&self, topic: &str) -> Result<Vec<Record>> {
        kcat::consume(&self.broker()?, topic)
    }

    /// Waits until no group has lag.
    pub fn wait_no_lag(&self) -> Result<()> {
        command::wait_no_lag(&self.client()?, self.dir()).map_err(|error| self.running.error(&error))
    }

    /// Returns the port of the sample server that it printed.
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
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the root of the files in the lake.
    pub fn files(&self) -> PathBuf {
        self.folder.join("lake/Files")
    }

    /// Reads the Delta tables with the Python readers.
    pub fn tables(&self) -> Result<tables::Tables> {
        read_tables(&self.folder.join("lake/Tables"))
    }

    /// Returns the lines of the audit log.
    pub fn audit(&self) -> Result<Vec<Value>> {
        audit_lines(&self.folder.join("audit.jsonl"))
    }

    /// Returns the manifests of the demos that ran here: one object per event that was sent.
    pub fn manifest(&self) -> Result<Vec<Value>> {
        let entries = fs::read_dir(&self.folder).map_err(context("the folder"))?;
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
    pub fn cached(&self) -> Vec<PathBuf> {
        files_below(&self.folder.join("cache"))
    }
}

/// Reads the tables in a folder of the lake and checks that they contain no planted secret.
pub fn read_tables(lake: &Path) -> Result<tables::Tables> {
    let read = tables::read(lake)?;
    let rows = [&read.events, &read.attachments, &read.failed];
    for row in rows.into_iter().flatten() {
        secrets::assert_none("a table", &row.to_string());
    }
    Ok(read)
}

/// Reads the lines of an audit log and checks that they contain no planted secret.
pub fn audit_lines(path: &Path) -> Result<Vec<Value>> {
    let lines = json_lines(path)?;
    for line in &lines {
        secrets::assert_none("the audit log", &line.to_string());
    }
    Ok(lines)
}

/// Reads a file with one JSON value per line; a missing file has none.
pub fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| failed(format!("{}: {error}", path.display()), line)))
        .collect()
}

/// Returns all files below a folder.
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
