//! `validate`: the smoke test of a rollout. Sends one event and prints how long each step took.

use clap::Args;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::text::visible;
use crate::ui::{self, Table};
use xact_config::{Environment, Settings};
use xact_operations::validate::{ValidateAnswer, ValidateRequest, validate};

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    request: ValidateRequest,
    #[command(flatten)]
    output: Output,
}

/// Sends and follows an event; exit 1 if it did not arrive.
pub(crate) async fn run(environment: &Environment, arguments: Validate) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    xact_telemetry::init_command(&settings, "xact-pipeline-validate")?;
    let progress = Progress::start("sending the event");
    let answer = validate(&settings, arguments.request, |step| {
        progress.set_message(format!("{} after {:.2} s", step.step, step.seconds));
    })
    .await;
    // The exporter blocks.
    tokio::task::spawn_blocking(xact_telemetry::flush).await?;
    let answer = answer?;
    drop(progress);
    arguments.output.print(&answer, print)?;
    Ok(ExitStatus::from(answer.failure.is_none()))
}

fn print(answer: &ValidateAnswer) {
    let mut table = Table::new(&["step", "after", "details"]);
    for step in &answer.steps {
        table.add_row([
            step.step.to_owned(),
            format!("{:.2} s", step.seconds),
            visible(&step.details),
        ]);
    }
    table.print();
    match &answer.failure {
        None => ui::line("the pipeline works: the event is in the tables, and its file is in the lake"),
        Some(failure) => ui::line(format_args!("FAILED: {}", visible(failure))),
    }
}
