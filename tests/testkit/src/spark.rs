//! Apache Spark with Delta Lake, the reference reader and writer of Delta tables, used by SQL.
//!
//! A session is a Python process with a JVM (about 1 GB, ten seconds to start). A test program starts one per version and keeps
//! it.

use std::{
    fs,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::{Error, Result, WorkDir, cache, context, failed, maven, python, watchdog};

const SCRIPT: &str = "../spark/session.py";

/// A release line of Spark, with the Delta Lake that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Spark 3.5 with Delta 3.3.
    V3,
    /// Spark 4.0 with Delta 4.0.
    V4,
}

impl Line {
    /// Both versions.
    pub const ALL: [Self; 2] = [Self::V3, Self::V4];

    fn name(self) -> &'static str {
        self.parts().0
    }

    /// Returns the name, the requirements of Python and the pom of the jars.
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::V3 => (
                "spark-3.5",
                include_str!("../../spark/requirements-3.5.txt"),
                include_str!("../../spark/pom-3.5.xml"),
            ),
            Self::V4 => (
                "spark-4.0",
                include_str!("../../spark/requirements-4.0.txt"),
                include_str!("../../spark/pom-4.0.xml"),
            ),
        }
    }
}

/// Puts Spark and Delta Lake into the test cache, unless they are there (about 75 s and 400 MB, or 520 MB for 4.0): the
/// interpreter, and the folder of Delta's jars.
pub fn install(line: Line) -> Result<(PathBuf, PathBuf)> {
    let (name, requirements, pom) = line.parts();
    let python = python::environment(name, requirements)?;
    let jars = cache::once(&format!("{name}-jars"), pom, |folder| maven::copy_jars(pom, folder))?;
    Ok((python, jars.join("lib")))
}

/// A session.
#[derive(Debug)]
pub struct Spark {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    _dir: WorkDir,
}

impl Spark {
    /// Returns the session of this test program, which the first call starts. Other tests wait until it is free.
    pub fn shared(line: Line) -> Result<MutexGuard<'static, Self>> {
        static SESSIONS: [OnceLock<Result<Mutex<Spark>>>; 2] = [const { OnceLock::new() }; 2];
        let session = &SESSIONS[usize::from(line == Line::V4)];
        let session = session.get_or_init(|| Self::start(line).map(Mutex::new));
        let session = session
            .as_ref()
            .map_err(context(format!("{} did not start", line.name())));
        session.map(Mutex::lock)
    }

    /// Starts a session and waits until it responds.
    pub fn start(line: Line) -> Result<Self> {
        let (python, jars) = install(line)?;
        let dir = WorkDir::new(line.name())?;
        let log = dir.join("spark.log");
        let file = File::create(&log).map_err(Error::io(format!("create {}", log.display())))?;
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT))
            .args([jars.as_path(), dir.path()])
            // Spark and Derby write files into the working directory.
            .current_dir(dir.path())
            .env_remove("SPARK_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(Error::io("start Spark"))?;
        watchdog::add_group(child.id());
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("start Spark", "it has no pipes"));
        };
        let mut spark = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            log,
            _dir: dir,
        };
        spark.answer()?;
        Ok(spark)
    }

    /// Runs a statement and returns its rows, each an object by column name.
    pub fn sql(&mut self, statement: &str) -> Result<Vec<Value>> {
        let mut answer = self.ask(&json!({ "sql": statement }), statement)?;
        match answer["rows"].take() {
            Value::Array(rows) => Ok(rows),
            _ => Err(failed(statement, answer.to_string())),
        }
    }

    /// Reads the Delta table in a folder: `rows`, `extremes` (`min COLUMN`,
    /// `max COLUMN`) and `by_date` (rows of each `event_date`).
    pub fn read(&mut self, table: &Path) -> Result<Value> {
        let path = table.display().to_string();
        self.ask(&json!({ "read": path }), &format!("Spark could not read {path}"))
    }

    fn ask(&mut self, request: &Value, what: &str) -> Result<Value> {
        writeln!(self.stdin, "{request}").map_err(Error::io("ask Spark"))?;
        let answer = self.answer()?;
        match answer["error"].as_str() {
            // The error of a failed job contains stack traces of the JVM.
            Some(error) => Err(failed(what, error.chars().take(2_000).collect::<String>())),
            None => Ok(answer),
        }
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line);
        let answer = read.ok().and_then(|_| serde_json::from_str(&line).ok());
        answer.ok_or_else(|| failed("Spark ended", fs::read_to_string(&self.log).unwrap_or_default()))
    }
}

impl Drop for Spark {
    fn drop(&mut self) {
        // The JVM belongs to the same process group.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        watchdog::forget_group(self.child.id());
    }
}
