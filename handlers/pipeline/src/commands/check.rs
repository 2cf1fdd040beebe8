//! `check`: the preflight. Prints one line for each thing that the pipeline needs, with what to do where it failed.

use clap::Args;
use console::Style;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use crate::ui::progress::Progress;
use crate::ui::text::{marked, visible};
use xact_config::{Environment, Settings};
use xact_operations::check::{self, CheckResult, Depth, Verdict};

/// Spaces before the second and later lines of a text.
const INDENT: &str = "                                 ";

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Prove in addition what only the real services can: null values, a consumer group, conditional writes, the kind of
    /// the lakehouse. Sends one record, which has no effect, to the dead-letter topic
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    output: Output,
}

/// Prints a line for each check; exit 1 if one failed.
pub(crate) async fn run(environment: &Environment, arguments: Check) -> CommandResult {
    let is_text = !arguments.output.json;
    let depth = if arguments.deep { Depth::Deep } else { Depth::Plain };
    let report = |result: &CheckResult| {
        if is_text {
            print(result);
        }
    };
    let settings = Settings::from_environment(environment);
    let configuration = check::configuration(settings.as_ref());
    report(&configuration);
    let mut results = vec![configuration];
    if let Ok(settings) = settings {
        let progress = Progress::start("checking");
        results.extend(check::check(&settings, depth, |result| progress.suspend(|| report(result))).await);
    }
    if !is_text {
        ui::json(&results)?;
    }
    let has_failed = results.iter().any(|result| result.finding.verdict == Verdict::Failed);
    Ok(ExitStatus::from(!has_failed))
}

fn print(result: &CheckResult) {
    let verdict = result.finding.verdict;
    let (symbol, style) = match verdict {
        Verdict::Ok => ("✓", Style::new().green()),
        Verdict::Warning => ("!", Style::new().yellow()),
        Verdict::Failed => ("✗", Style::new().red()),
        Verdict::Skipped => ("-", Style::new().dim()),
    };
    let word = marked(&format!("{verdict:<7}"), symbol, style);
    // An error may quote a server, so control characters are escaped.
    let text: Vec<String> = result.finding.text.lines().map(visible).collect();
    let text = text.join(&format!("\n{INDENT}"));
    ui::line(format_args!("{word} {:<24} {text}", result.check));
}
