//! `check`: the preflight. Prints one line for each thing that the pipeline needs, with what to do where it failed.

use clap::Args;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use crate::ui::progress::Progress;
use crate::ui::style::{Tone, toned};
use crate::ui::text::visible;
use xact_config::{Environment, Settings};
use xact_operations::check::{self, CheckResult, Verdict};

/// Spaces before the second and later lines of a text.
const INDENT: &str = "                                 ";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    output: Output,
}

/// Prints a line for each check; exit 1 if one failed.
pub(crate) async fn run(environment: &Environment, arguments: Check) -> CommandResult {
    let is_text = !arguments.output.json;
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
        results.extend(check::check(&settings, |result| progress.suspend(|| report(result))).await);
    }
    if !is_text {
        ui::json(&results)?;
    }
    let has_failed = results.iter().any(|result| result.finding.verdict == Verdict::Failed);
    Ok(ExitStatus::from(!has_failed))
}

fn print(result: &CheckResult) {
    let verdict = result.finding.verdict;
    let tone = match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warning => Tone::Warning,
        Verdict::Failed => Tone::Bad,
        Verdict::Skipped => Tone::Muted,
    };
    let word = toned(&format!("{:<7}", verdict.as_str()), tone);
    // An error may quote a server, so control characters are escaped.
    let text: Vec<String> = result.finding.text.lines().map(visible).collect();
    ui::line(format_args!(
        "{word} {:<24} {}",
        result.check,
        text.join(&format!("\n{INDENT}"))
    ));
}
