//! `check`: the preflight. One line for each thing that the pipeline needs, with what to do where it failed.

mod cost;
mod kafka;
mod local;
mod records;
mod storage;

use std::fmt::Display;
use std::io::IsTerminal;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::visible;
use xact_config::{Environment, Settings};

/// Limit of one check. The services have shorter limits of their own, whose errors say more.
const CHECK_TIMEOUT: Duration = Duration::from_secs(90);

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Answer in JSON: one list
    #[arg(long)]
    json: bool,
}

/// The result of a check.
pub(super) enum Verdict {
    /// It works; what was found.
    Ok(String),
    /// It works, but costs more or behaves differently than it should; what to do. The exit code stays 0.
    Warning(String),
    /// It does not work; what to do.
    Failed(String),
    /// The settings do not use it.
    Skipped(String),
}

impl Verdict {
    fn failed(error: &impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Warning(_) => "warning",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    fn text(&self) -> &str {
        let (Self::Ok(text) | Self::Warning(text) | Self::Failed(text) | Self::Skipped(text)) = self;
        text
    }
}

type Checked = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Prints a line for each check; false if one failed.
pub(crate) async fn run(environment: &Environment, arguments: Check) -> CommandResult {
    let mut report = Report::new(arguments.json);
    let settings = match Settings::from_environment(environment) {
        Ok(settings) => Arc::new(settings),
        Err(error) => {
            report.add("configuration", &Verdict::failed(&error));
            return Ok(ExitStatus::from(report.finish()));
        }
    };
    report.add("configuration", &Verdict::Ok("all values are valid".to_owned()));
    // Concurrently, since a service that does not answer takes until its time limit; printed in this order.
    let running: Vec<_> = checks(&settings)
        .into_iter()
        .map(|(name, check)| (name, tokio::spawn(tokio::time::timeout(CHECK_TIMEOUT, check))))
        .collect();
    for (name, check) in running {
        let verdict = match check.await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Verdict::Failed(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
            Err(error) => Verdict::failed(&error),
        };
        report.add(&name, &verdict);
    }
    Ok(ExitStatus::from(report.finish()))
}

fn checks(settings: &Arc<Settings>) -> Vec<(String, Checked)> {
    let mut checks: Vec<(String, Checked)> =
        vec![("identity".to_owned(), Box::pin(storage::identity(settings.clone())))];
    checks.extend(kafka::checks(settings));
    checks.push(("files".to_owned(), Box::pin(storage::files(settings.clone()))));
    checks.extend(storage::tables(settings));
    checks.push(("OneLake cost".to_owned(), Box::pin(cost::estimate(settings.clone()))));
    checks.push(("cache".to_owned(), Box::pin(local::cache(settings.clone()))));
    checks.push(("audit log".to_owned(), Box::pin(local::audit_log(settings.clone()))));
    checks.push(("traces".to_owned(), Box::pin(local::traces(settings.clone()))));
    checks
}

/// The lines, and whether all checks passed.
struct Report {
    is_json: bool,
    is_coloured: bool,
    lines: Vec<serde_json::Value>,
    is_good: bool,
}

impl Report {
    fn new(is_json: bool) -> Self {
        Self {
            is_json,
            is_coloured: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            lines: Vec::new(),
            is_good: true,
        }
    }

    #[allow(clippy::print_stdout)]
    fn add(&mut self, check: &str, verdict: &Verdict) {
        self.is_good &= !matches!(verdict, Verdict::Failed(_));
        if self.is_json {
            self.lines
                .push(json!({"check": check, "verdict": verdict.word(), "text": verdict.text()}));
            return;
        }
        let colour = match verdict {
            Verdict::Ok(_) => 32,
            Verdict::Warning(_) => 33,
            Verdict::Failed(_) => 31,
            Verdict::Skipped(_) => 90,
        };
        let word = format!("{:<7}", verdict.word());
        let word = match self.is_coloured {
            true => format!("\x1b[{colour}m{word}\x1b[0m"),
            false => word,
        };
        // An error may quote a server: no control character of it reaches the terminal.
        let text = verdict.text().lines().map(visible).collect::<Vec<_>>();
        println!(
            "{word} {check:<24} {}",
            text.join("\n                                 ")
        );
    }

    #[allow(clippy::print_stdout)]
    fn finish(self) -> bool {
        if self.is_json {
            println!("{:#}", serde_json::Value::Array(self.lines));
        }
        self.is_good
    }
}
