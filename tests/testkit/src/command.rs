//! Runs an operator's command until it exits.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::error::context;
use crate::wait::TIMEOUT;
use crate::{Process, Result, Variables, assert_contains, binary, failed, secrets, wait_until};

/// Time within which a command must exit. `check` waits up to 90 s for dependencies that do not respond.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// Result of a command.
#[derive(Debug)]
pub struct Answer {
    /// The command, for error messages.
    command: String,
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its output, standard output and error together.
    pub text: String,
    /// Its output as bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Returns the output if the command succeeded.
    pub fn success(self) -> Result<String> {
        self.ended(0)
    }

    /// Returns the output if the command exited with this code; the error contains the output.
    pub fn ended(self, expected: i32) -> Result<String> {
        match self.code {
            Some(code) if code == expected => Ok(self.text),
            code => Err(failed(format!("`{}` exited with {code:?}", self.command), self.text)),
        }
    }

    /// Returns the output if the command exited with this code; it must contain these parts.
    #[track_caller]
    pub fn ended_with(self, expected: i32, parts: &[&str]) -> Result<String> {
        let command = self.command.clone();
        let text = self.ended(expected)?;
        assert_contains(&format!("`{command}`: {text}"), parts);
        Ok(text)
    }

    /// Returns the JSON objects among its lines.
    pub fn json_lines(&self) -> Vec<Value> {
        let objects = self.text.lines().filter_map(|line| serde_json::from_str(line).ok());
        objects.filter(Value::is_object).collect()
    }

    /// Parses the output as one JSON value.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).map_err(context(&self.text))
    }
}

/// Runs `xact-pipeline` with `args` in `dir`.
pub fn command(args: &[&str], environment: Variables, dir: &Path) -> Result<Answer> {
    run("xact-pipeline", args, environment, dir)
}

/// Runs a workspace binary with `args` in `dir`.
pub fn run(program: &str, args: &[&str], environment: Variables, dir: &Path) -> Result<Answer> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("command-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut process = Process::spawn(&name, binary(program)?, args, environment, dir)?;
    let status = process.wait(COMMAND_TIMEOUT)?;
    let text = process.log();
    // Only commands with a flag that reveals secrets may print them.
    if !args.iter().any(|arg| matches!(*arg, "--show-secrets" | "--raw")) {
        secrets::assert_none(&args.join(" "), &text);
    }
    Ok(Answer {
        command: format!("{program} {}", args.join(" ")),
        code: status.code(),
        text,
        bytes: std::fs::read(process.log_path()).map_err(context("the command's output"))?,
    })
}

/// Returns the variables of a command for a broker whose pipeline has the retry delays of `--dev`.
pub fn client(broker: &str) -> Variables {
    crate::variables(&[("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker), ("RETRY_DELAYS", "1,2,4,8")])
}

/// Returns group, topic and lag as reported by `xact-pipeline topics lag`.
pub fn lag(client: &Variables, dir: &Path) -> Result<Vec<(String, String, u64)>> {
    let text = command(&["topics", "lag", "--json"], client.clone(), dir)?.success()?;
    // Standard error may precede the JSON.
    let json = text.find('{').map_or("", |at| &text[at..]);
    let answer: Value = serde_json::from_str(json).map_err(context(&text))?;
    let row = |group: &Value| {
        let text = |name: &str| group[name].as_str().map(str::to_owned);
        Some((text("group")?, text("topic")?, group["lag"].as_u64()?))
    };
    let groups = answer["groups"].as_array().into_iter().flatten();
    let rows: Vec<_> = groups.filter_map(row).collect();
    if rows.is_empty() {
        return Err(failed("`topics lag` printed no lag", text));
    }
    Ok(rows)
}

/// Waits until no group has lag in two polls in a row: a retry may return a message to a topic whose lag was already read.
pub fn wait_no_lag(client: &Variables, dir: &Path) -> Result<()> {
    let mut quiet = 0;
    let mut last = String::new();
    let done = wait_until(TIMEOUT, "no group has lag", || {
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
