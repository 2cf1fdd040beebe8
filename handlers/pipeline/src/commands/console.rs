//! `console`: web pages about the pipeline.

use std::net::SocketAddr;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::console::{self, DEFAULT_ADDRESS};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use xact_config::{Environment, Settings};
use xact_runtime::shutdown;

/// Where it is served.
#[derive(Debug, Args)]
pub(crate) struct Console {
    /// Address of this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_ADDRESS)]
    listen: SocketAddr,
}

/// Serves until a signal.
pub(crate) async fn run(environment: &Environment, arguments: Console) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    xact_telemetry::init(&settings, "xact-pipeline-console")?;
    let stop = CancellationToken::new();
    shutdown::on_signals(stop.clone())?;
    let console = console::Console::open(&settings, environment, arguments.listen).await?;
    ui::line(console.url());
    console.serve(stop).await;
    Ok(ExitStatus::Ok)
}
