//! `console`: web pages about the pipeline.

use std::net::SocketAddr;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::console::{self, DEFAULT_ADDRESS};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use xact_config::{Environment, Settings};
use xact_runtime::{probe_liveness, shutdown};

/// Where it is served.
#[derive(Debug, Args)]
pub(crate) struct Console {
    /// Address of this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// Serve nothing: probe the console that listens there, for health checks. Exit code 0: it lives, 1: it does not
    #[arg(long)]
    live: bool,
}

/// Serves until a signal, or probes the one that does.
pub(crate) async fn run(environment: &Environment, arguments: Console) -> CommandResult {
    if arguments.live {
        return probe(arguments.listen).await;
    }
    let settings = Settings::from_environment(environment)?;
    // A server, unlike other commands: who signed in and what they did is in its log.
    xact_telemetry::init(&settings, "xact-pipeline-console")?;
    let stop = CancellationToken::new();
    shutdown::on_signals(stop.clone())?;
    let console = console::Console::open(&settings, environment, arguments.listen).await?;
    ui::line(console.url());
    console.serve(stop).await;
    Ok(ExitStatus::Ok)
}

async fn probe(address: SocketAddr) -> CommandResult {
    match tokio::task::spawn_blocking(move || probe_liveness(address)).await? {
        Ok(()) => Ok(ExitStatus::Ok),
        Err(error) => {
            ui::error_line(format_args!("xact-pipeline: {error}"));
            Ok(ExitStatus::No)
        }
    }
}
