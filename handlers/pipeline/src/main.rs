//! `xact-pipeline`: all handlers in one process, and the operator's commands.

mod cli;
mod commands;
mod demo;
mod dev;
mod run;
mod stages;
mod table_columns;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use xact_config::{Environment, load_dotenv};

/// Something was not as it must be: the command's answer is no.
const NO: u8 = 1;
/// The command could not be carried out: bad usage, bad configuration, no broker.
const FAILED: u8 = 2;

/// Errors of the commands, told in full to the operator.
type Outcome = Result<bool, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NO),
        Err(error) => {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("xact-pipeline: {error}");
            }
            ExitCode::from(FAILED)
        }
    }
}

async fn dispatch(cli: Cli) -> Outcome {
    let mut environment = Environment::of_process();
    load_dotenv(&mut environment)?;
    cli.run.apply(&mut environment);
    match cli.command {
        None => run::run(&cli.run, environment).await,
        Some(Command::Produce { source }) => commands::produce::run(&environment, &source).await,
        Some(Command::Demo { events }) => commands::demo::run(&environment, events).await,
        Some(Command::Check(arguments)) => commands::check::run(&environment, arguments).await,
        Some(Command::Validate(arguments)) => commands::validate::run(&environment, arguments).await,
        Some(Command::Topics { action }) => commands::topics::run(&environment, action).await,
        Some(Command::Table { action }) => commands::table::run(&environment, action).await,
        Some(Command::Leftovers(arguments)) => commands::leftovers::run(&environment, arguments).await,
        Some(Command::Dlq { action }) => commands::dlq::run(&environment, action).await,
        Some(Command::Offsets { action }) => commands::offsets::run(&environment, action).await,
        Some(Command::Reconcile(range)) => commands::reconcile::run(&environment, range).await,
        Some(Command::Explain { url, media_type }) => commands::explain::run(&environment, &url, media_type.as_deref()),
        Some(Command::EnvExample) => commands::env_example(),
    }
}
