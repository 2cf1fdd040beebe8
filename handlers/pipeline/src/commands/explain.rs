//! `explain URL`: what the rules say about an attachment URL, without a request.

use clap::Args;
use jiff::Timestamp;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::visible;
use crate::ui::{self, Table};
use xact_config::{Environment, Settings};
use xact_operations::explain::{ExplainAnswer, explain};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The URL
    url: String,
    /// The MIME type that its server declares
    #[arg(long, value_name = "T")]
    media_type: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Prints the verdict of each rule; exit 1 if one refuses the URL.
pub(crate) fn run(environment: &Environment, arguments: &Explain) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let media_type = arguments.media_type.as_deref();
    let answer = explain(&settings, &arguments.url, media_type, Timestamp::now());
    arguments.output.print(&answer, print)?;
    Ok(ExitStatus::from(answer.is_accepted()))
}

/// The URLs explained here are often hostile, so control characters are escaped.
fn print(answer: &ExplainAnswer) {
    let mut table = Table::new(&["rule", "verdict", "details"]);
    for rule in &answer.rules {
        table.add_row([rule.rule.to_owned(), rule.verdict.to_string(), visible(&rule.text)]);
    }
    table.print();
    if let Some(url) = &answer.fetched {
        ui::line(format_args!("as it is fetched: {}", visible(url)));
    }
    ui::line(format_args!("as it is stored: {}", visible(&answer.stored)));
}
