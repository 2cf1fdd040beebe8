//! Runs the workers, in production and in development.

use tokio_util::sync::CancellationToken;

use crate::cli::Run;
use crate::demo;
use crate::dev::Dev;
use crate::outcome::{CommandResult, EXIT_NO, ExitStatus};
use crate::stages;
use xact_config::{Environment, Settings};
use xact_runtime::process::{Process, exit, log_start};
use xact_runtime::{fail_points, shutdown};

/// Runs the chosen workers until a signal stops them.
pub(crate) async fn run(options: &Run, mut environment: Environment) -> CommandResult {
    let dev = if options.dev {
        Some(Dev::prepare(options, &mut environment).await?)
    } else {
        None
    };
    let settings = Settings::from_environment(&environment)?;
    xact_telemetry::init(&settings, "xact-pipeline")?;
    log_start(&environment, &settings, "pipeline");
    fail_points::arm();
    let drain = CancellationToken::new();
    shutdown::on_signals(drain.clone())?;
    if let Some(dev) = &dev {
        dev.create_topics(&settings).await?;
    }
    let workers = options.worker.stages();
    let factories = workers.iter().map(|&stage| (stage, stages::factory(stage))).collect();
    let process = Process::start(settings.clone(), factories, options.count.into(), drain.clone()).await?;
    let status = match (&dev, options.demo) {
        (Some(dev), Some(events)) => {
            let status = demo::run(dev, &settings, &process, events, &drain).await;
            drain.cancel();
            status
        }
        (Some(dev), None) => {
            let console = dev.console(&settings, &environment, &process).await?;
            dev.print_places(&settings, &process, &console.url());
            tokio::spawn(console.serve(drain.clone()));
            Ok(ExitStatus::Ok)
        }
        (None, _) => {
            tracing::info!(address = %process.address, "serving /health, /metrics and /invoke");
            Ok(ExitStatus::Ok)
        }
    };
    if !process.wait().await {
        exit(EXIT_NO);
    }
    if let Some(dev) = dev {
        dev.stop().await;
    }
    exit(status?.code())
}
