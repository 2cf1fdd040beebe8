//! `xact-pipeline`: all handlers in one process, and the operator's commands.

mod arguments;
mod cli;
mod commands;
mod console;
mod demo;
mod dev;
mod local_user;
mod outcome;
mod run;
mod show_settings;
mod stages;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use outcome::{CommandResult, ExitStatus, exit_code};
use xact_config::{Environment, load_dotenv};

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(dispatch(Cli::parse()).await)
}

async fn dispatch(cli: Cli) -> CommandResult {
    let mut environment = Environment::of_process();
    load_dotenv(&mut environment)?;
    cli.run.apply(&mut environment);
    match cli.command {
        None if cli.run.show_settings => show_settings::run(&environment),
        None => run::run(&cli.run, environment).await,
        Some(Command::Produce(arguments)) => commands::produce::run(&environment, arguments).await,
        Some(Command::Demo { events }) => commands::demo::run(&environment, events).await,
        Some(Command::Console(arguments)) => commands::console::run(&environment, arguments).await,
        Some(Command::Check(arguments)) => commands::check::run(&environment, arguments).await,
        Some(Command::Validate(arguments)) => commands::validate::run(&environment, arguments).await,
        Some(Command::Topics { action }) => commands::topics::run(&environment, action).await,
        Some(Command::Table { action }) => commands::table::run(&environment, action).await,
        Some(Command::Maintain(arguments)) => commands::maintain::run(&environment, arguments).await,
        Some(Command::Leftovers(arguments)) => commands::leftovers::run(&environment, arguments).await,
        Some(Command::Dlq { action }) => commands::dlq::run(&environment, action).await,
        Some(Command::Offsets { action }) => commands::offsets::run(&environment, action).await,
        Some(Command::Reconcile(range)) => commands::reconcile::run(&environment, range).await,
        Some(Command::Trace(arguments)) => commands::trace::run(&environment, arguments).await,
        Some(Command::Explain(arguments)) => commands::explain::run(&environment, &arguments),
        Some(Command::EnvExample) => {
            ui::verbatim(xact_config::env_example());
            Ok(ExitStatus::Ok)
        }
    }
}
