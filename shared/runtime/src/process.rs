//! A whole process: configuration, telemetry, HTTP, workers, signals, exit code.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::http::{self, PortError};
use crate::probe::{self, Asked};
use crate::shutdown;
use crate::worker::{Factory, Shared, Worker};
use xact_config::{ConfigError, Environment, Settings, load_dotenv};
use xact_contracts::topology::Stage;
use xact_kafka::{Producer, ProducerError};
use xact_telemetry::health::Health;
use xact_telemetry::{self, TelemetryError};

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Bad values.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs or traces.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The producer.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The signal handlers.
    #[error("signals cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
}

/// Beyond the grace period: what the clients may take to leave their groups.
const LEAVE: Duration = Duration::from_secs(5);

/// A running process.
pub struct Process {
    /// Shared by the workers.
    pub shared: Shared,
    /// Where HTTP is served.
    pub address: SocketAddr,
    workers: JoinSet<()>,
    http: tokio::task::JoinHandle<()>,
    stop_http: CancellationToken,
}

impl Process {
    /// Starts `count` workers of each stage, and HTTP.
    ///
    /// # Errors
    /// When the port or the Kafka client cannot be had. A worker that cannot start is no error: it tries again.
    pub async fn start(
        settings: Settings,
        stages: Vec<(Stage, Factory)>,
        count: usize,
        drain: CancellationToken,
    ) -> Result<Self, StartError> {
        let listener = http::bind(settings.metrics_address).await?;
        let address = listener.local_addr()?;
        let health = Health::default();
        let shared = Shared {
            producer: Producer::new(&settings.internal_cluster, health.clone(), "producer")?,
            settings: Arc::new(settings),
            clock: Clock::system(),
            health,
            drain,
            undrained: Arc::default(),
        };
        let workers: Vec<Arc<Worker>> = stages
            .into_iter()
            .flat_map(|(stage, factory)| {
                let shared = shared.clone();
                (1..=count).map(move |number| {
                    let name = if count == 1 {
                        stage.to_string()
                    } else {
                        format!("{stage}-{number}")
                    };
                    // Known to be on its way before anybody can ask for readiness.
                    shared.health.starting(&name, "starting");
                    Worker::new(name, stage, Arc::clone(&factory), shared.clone())
                })
            })
            .collect();
        let stop_http = CancellationToken::new();
        let http = tokio::spawn(http::serve(
            listener,
            shared.health.clone(),
            workers.clone(),
            shared.settings.invoke_token.clone(),
            stop_http.clone(),
        ));
        let mut running = JoinSet::new();
        for worker in workers {
            running.spawn(worker.run());
        }
        Ok(Self {
            shared,
            address,
            workers: running,
            http,
            stop_http,
        })
    }

    /// Waits until told to drain and all workers have; false if some took longer than the grace period. Then the caller
    /// should end the process ([`exit`]), for the async runtime itself would wait for what still runs.
    pub async fn wait(mut self) -> bool {
        self.shared.drain.cancelled().await;
        self.shared.health.starting("process", "draining");
        let grace = self.shared.settings.shutdown_grace + LEAVE;
        let drained = tokio::time::timeout(grace, async { while self.workers.join_next().await.is_some() {} })
            .await
            .is_ok()
            && !self.shared.undrained.load(Ordering::Relaxed);
        self.stop_http.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.http).await;
        if !drained {
            tracing::warn!("some workers did not drain in time: what they left will be read again");
        }
        drained
    }
}

/// Ends the process now. The async runtime would wait, without limit and deaf to signals, for blocking work that hangs
/// on a share: what matters was drained before.
pub fn exit(code: u8) -> ! {
    xact_telemetry::flush();
    std::process::exit(code.into())
}

/// Logs what is in force, secrets hidden.
pub fn print_configuration(environment: &Environment, settings: &Settings, what: &str) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), what, "starting");
    if !settings.identity_scopes().is_empty() {
        match settings.identity() {
            Ok(identity) => tracing::info!(identity = identity.describe(), "Azure identity"),
            Err(error) => tracing::error!(%error, "Azure identity"),
        }
    }
    for (name, value) in environment.describe() {
        tracing::info!(name, value, "configuration");
    }
}

/// `main` of a handler's own binary: the handler itself, or with `--live` or `--ready` a question to the one that runs
/// here, answered by the exit code (0 yes, 1 no).
pub async fn run(stage: Stage, factory: Factory) -> ExitCode {
    let (error, code) = match Asked::read(std::env::args().skip(1)) {
        Ok(Asked::Run) => match run_stage(stage, factory).await {
            Ok(()) => exit(0),
            Err(error) => (error.to_string(), 2),
        },
        Ok(asked) => match probe::ask(asked) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (error.to_string(), 1),
        },
        Err(error) => (error.to_string(), 2),
    };
    #[allow(clippy::print_stderr)]
    {
        eprintln!("{stage}: {error}");
    }
    ExitCode::from(code)
}

async fn run_stage(stage: Stage, factory: Factory) -> Result<(), StartError> {
    let mut environment = Environment::of_process();
    load_dotenv(&mut environment)?;
    let settings = Settings::from_environment(&environment)?;
    xact_telemetry::init(&settings, &format!("xact-pipeline-{stage}"))?;
    print_configuration(&environment, &settings, stage.name());
    crate::fail_points::arm();
    let drain = CancellationToken::new();
    shutdown::on_signals(drain.clone())?;
    let process = Process::start(settings, vec![(stage, factory)], 1, drain).await?;
    tracing::info!(address = %process.address, "serving /health, /metrics and /invoke");
    if !process.wait().await {
        exit(1);
    }
    Ok(())
}
