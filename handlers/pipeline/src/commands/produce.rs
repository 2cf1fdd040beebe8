//! `produce`: events from a file onto the raw topic.

use std::io::Read;

use clap::Args;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::{self, counted};
use xact_config::{Environment, Settings};
use xact_operations::produce::{Events, produce};

/// Arguments of `produce`.
#[derive(Debug, Args)]
pub(crate) struct Produce {
    /// The file, or - for standard input
    #[arg(value_name = "FILE|-")]
    source: String,
    #[command(flatten)]
    output: Output,
}

/// Sends every event of the source.
pub(crate) async fn run(environment: &Environment, arguments: Produce) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let source = arguments.source;
    let text = read(&source).map_err(|error| format!("{source} cannot be read: {error}"))?;
    let events = Events::parse(&text).map_err(|error| format!("{source}: {error}"))?;
    let answer = produce(&settings, events).await?;
    arguments.output.print(&answer, |answer| {
        let events = counted(answer.events, "event");
        ui::line(format_args!(
            "{events} sent to {} at {}",
            answer.topic, answer.bootstrap_servers
        ));
    })?;
    Ok(ExitStatus::Ok)
}

fn read(source: &str) -> std::io::Result<Vec<u8>> {
    if source != "-" {
        return std::fs::read(source);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}
