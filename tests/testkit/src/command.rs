//! An operator's command, run to its end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::{Process, Result, WorkDir, binary, wait_until};
use crate::{Variables, failed, secrets};

/// Longest run of a command. `check` waits up to 90 s for what does not answer, and starts and ends as well.
const LIMIT: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed, standard output and error together.
    pub text: String,
    /// The same, byte for byte.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The text, if the command succeeded.
    ///
    /// # Errors
    /// With the text, if it did not.
    pub fn success(self) -> Result<String> {
        self.ended(0)
    }

    /// The JSON objects among its lines.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let objects = self.text.lines().filter_map(|line| serde_json::from_str(line).ok());
        objects.filter(Value::is_object).collect()
    }

    /// The text, if the command ended with this exit code.
    ///
    /// # Errors
    /// With the text, if it did not.
    pub fn ended(self, expected: i32) -> Result<String> {
        match self.code {
            Some(code) if code == expected => Ok(self.text),
            code => Err(failed(format!("the command ended with {code:?}"), self.text)),
        }
    }
}

/// Runs `xact-pipeline` with `args` in `dir`.
///
/// # Errors
/// When it cannot be started or does not end.
pub fn command(args: &[&str], environment: Variables, dir: &WorkDir) -> Result<Answer> {
    run("xact-pipeline", args, environment, dir)
}

/// Runs a workspace binary with `args` in `dir`.
///
/// # Errors
/// When it cannot be started or does not end.
pub fn run(program: &str, args: &[&str], environment: Variables, dir: &WorkDir) -> Result<Answer> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("command-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut process = Process::spawn(&name, binary(program)?, args, environment, dir.path())?;
    let status = process.wait(LIMIT)?;
    let text = process.log();
    // Only who asks for secrets is shown them.
    if !args.iter().any(|arg| matches!(*arg, "--show-secrets" | "--raw")) {
        secrets::assert_none(&args.join(" "), &text);
    }
    Ok(Answer {
        code: status.code(),
        text,
        bytes: std::fs::read(process.log_path()).map_err(|error| failed("the command's output", error.to_string()))?,
    })
}

/// The cells of a printed table's line, whatever lines it is drawn with.
#[must_use]
pub fn cells(line: &str) -> Vec<&str> {
    let is_drawn = |letter: char| ('\u{2500}'..='\u{257f}').contains(&letter) || letter == '|';
    line.split(is_drawn)
        .flat_map(|part| part.split("  "))
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

/// What a command must know of a broker whose pipeline retries as `--dev` does.
#[must_use]
pub fn client(broker: &str) -> Variables {
    crate::variables(&[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker), ("RETRY_DELAYS", "1,2,4,8")])
}

/// Messages that the groups on a broker have not finished, by `xact-pipeline topics lag`: group, topic and lag.
///
/// # Errors
/// When the command fails or prints no lag.
pub fn lag(client: &Variables, dir: &WorkDir) -> Result<Vec<(String, String, u64)>> {
    let text = command(&["topics", "lag", "--json"], client.clone(), dir)?.success()?;
    // Standard error may come before it.
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
    match rows.is_empty() {
        true => Err(failed("`topics lag` prints no lag", text)),
        false => Ok(rows),
    }
}

/// Waits until no group has lag, on a broker whose pipeline retries as `--dev` does.
///
/// # Errors
/// When there still is some after `limit`.
pub fn wait_no_lag(limit: Duration, broker: &str, dir: &WorkDir) -> Result<()> {
    wait_no_lag_of(limit, &client(broker), dir)
}

/// Waits until no group has lag: two looks in a row, for what a retry has just given back is behind the first look.
///
/// # Errors
/// When there still is some after `limit`.
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
            // A broker that has just come back may not answer for all partitions yet.
            Err(error) => {
                quiet = 0;
                last = error.to_string();
            }
        }
        (quiet == 2).then_some(())
    });
    done.map_err(|error| failed(error.to_string(), last))
}
