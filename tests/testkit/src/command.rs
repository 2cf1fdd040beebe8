//! Runs an operator's command until it exits.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::{Process, Result, WorkDir, binary, wait_until};
use crate::{Variables, failed, secrets};

/// Time within which a command must exit. `check` waits up to 90 s for dependencies that do not respond.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// Result of a command.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its output, standard output and error together.
    pub text: String,
    /// Its output as bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Returns the output if the command succeeded.
    ///
    /// # Errors
    /// When it failed; the error contains the output.
    pub fn success(self) -> Result<String> {
        self.ended(0)
    }

    /// Returns the JSON objects among its lines.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let objects = self.text.lines().filter_map(|line| serde_json::from_str(line).ok());
        objects.filter(Value::is_object).collect()
    }

    /// Returns the output if the command exited with this code.
    ///
    /// # Errors
    /// When it exited with another code; the error contains the output.
    pub fn ended(self, expected: i32) -> Result<String> {
        match self.code {
            Some(code) if code == expected => Ok(self.text),
            code => Err(failed(format!("the command exited with {code:?}"), self.text)),
        }
    }
}

/// Runs `xact-pipeline` with `args` in `dir`.
///
/// # Errors
/// When it cannot be started or does not exit.
pub fn command(args: &[&str], environment: Variables, dir: &WorkDir) -> Result<Answer> {
    run("xact-pipeline", args, environment, dir)
}

/// Runs a workspace binary with `args` in `dir`.
///
/// # Errors
/// When it cannot be started or does not exit.
pub fn run(program: &str, args: &[&str], environment: Variables, dir: &WorkDir) -> Result<Answer> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("command-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut process = Process::spawn(&name, binary(program)?, args, environment, dir.path())?;
    let status = process.wait(COMMAND_TIMEOUT)?;
    let text = process.log();
    // Only commands with a flag that reveals secrets may print them.
    if !args.iter().any(|arg| matches!(*arg, "--show-secrets" | "--raw")) {
        secrets::assert_none(&args.join(" "), &text);
    }
    Ok(Answer {
        code: status.code(),
        text,
        bytes: std::fs::read(process.log_path()).map_err(|error| failed("the command's output", error.to_string()))?,
    })
}

/// Returns the cells of a line of a printed table in any border style.
#[must_use]
pub fn cells(line: &str) -> Vec<&str> {
    let is_drawn = |letter: char| ('\u{2500}'..='\u{257f}').contains(&letter) || letter == '|';
    line.split(is_drawn)
        .flat_map(|part| part.split("  "))
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

/// Returns the variables of a command for a broker whose pipeline has the retry delays of `--dev`.
#[must_use]
pub fn client(broker: &str) -> Variables {
    crate::variables(&[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker), ("RETRY_DELAYS", "1,2,4,8")])
}

/// Returns group, topic and lag as reported by `xact-pipeline topics lag`.
///
/// # Errors
/// When the command fails or prints no lag.
pub fn lag(client: &Variables, dir: &WorkDir) -> Result<Vec<(String, String, u64)>> {
    let text = command(&["topics", "lag", "--json"], client.clone(), dir)?.success()?;
    // Standard error may precede the JSON.
    let json = text.find('{').map_or("", |at| &text[at..]);
    let answer: Value = serde_json::from_str(json).map_err(|error| failed(error.to_string(), text.clone()))?;
    let row = |group: &Value| {
        let text = |name: &str| group[name].as_str().map(str::to_owned);
        Some((text("group")?, text("topic")?, group["lag"].as_u64()?))
    };
    let rows: Vec<_> = answer["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(row)
        .collect();
    if rows.is_empty() {
        return Err(failed("`topics lag` printed no lag", text));
    }
    Ok(rows)
}

/// Waits until no group has lag on a broker whose pipeline has the retry delays of `--dev`.
///
/// # Errors
/// When a group still has lag after `limit`.
pub fn wait_no_lag(limit: Duration, broker: &str, dir: &WorkDir) -> Result<()> {
    wait_no_lag_of(limit, &client(broker), dir)
}

/// Waits until no group has lag in two polls in a row: a retry may return a message to a topic whose lag was already read.
///
/// # Errors
/// When a group still has lag after `limit`.
pub fn wait_no_lag_of(limit: Duration, client: &Variables, dir: &WorkDir) -> Result<()> {
    let mut quiet = 0;
    let mut last = String::new();
    let done = wait_until(limit, "no group has lag", || {
        match lag(client, dir) {
            Ok(rows) => {
                let left: Vec<_> = rows.into_iter().filter(|row| row.2 > 0).collect();
                quiet = if left.is_empty() { quiet + 1 } else { 0 };
                last = format!("{left:?}");
            }
            // A broker that has just been restarted may not respond for all partitions yet.
            Err(error) => {
                quiet = 0;
                last = error.to_string();
            }
        }
        (quiet == 2).then_some(())
    });
    done.map_err(|error| failed(error.to_string(), last))
}
