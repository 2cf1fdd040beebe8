//! A whole process: configuration, telemetry, HTTP, workers, signals, exit code.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::{self, PortError};
use crate::probe::{self, Command};
use crate::shutdown;
use crate::worker::{Factory, Shared, Worker};
use xact_config::{ConfigError, Environment, Settings, load_dotenv};
use xact_contracts::topology::Stage;
use xact_kafka::{Producer, ProducerError};
use xact_telemetry::health::Health;
use xact_telemetry::{self, TelemetryError};

/// A process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Invalid configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs or traces could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The HTTP port could not be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The producer could not be created.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The threads for asynchronous work could not be started.
    #[error("threads cannot be started: {0}; check the limit of processes and threads (ulimit -u)")]
    Threads(#[source] std::io::Error),
    /// The signal handlers could not be installed.
    #[error("signals cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
}

/// Interval at which components that are still not ready are logged again. The alert `not-ready` of `bicep/modules/alerts.bicep`
/// fires at two of these lines within 15 minutes.
const REMINDER_INTERVAL: Duration = Duration::from_secs(300);

/// Time for the clients to leave their groups, in addition to the grace period.
const LEAVE_GROUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running process.
pub struct Process {
    /// What the workers share.
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
    /// When the port cannot be opened or the producer cannot be created. A worker that cannot start is not an error: it retries.
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
                    // Set before HTTP serves readiness.
                    shared.health.starting(&name, "starting");
                    Worker::new(name, stage, Arc::clone(&factory), shared.clone())
                })
            })
            .collect();
        let stop_http = CancellationToken::new();
        let http = tokio::spawn(http::serve_process(
            listener,
            shared.health.clone(),
            workers.clone(),
            shared.settings.invoke_token.clone(),
            stop_http.clone(),
        ));
        tokio::spawn(remind(shared.health.clone(), stop_http.clone()));
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

    /// Waits until the process drains and all workers have drained. Returns false if some took longer than the grace period.
    /// The caller should then end the process with [`exit`], because dropping the async runtime would wait for running tasks.
    pub async fn wait(mut self) -> bool {
        self.shared.drain.cancelled().await;
        self.shared.health.starting("process", "draining");
        let grace = self.shared.settings.shutdown_grace + LEAVE_GROUP_TIMEOUT;
        let drained = tokio::time::timeout(grace, async { while self.workers.join_next().await.is_some() {} })
            .await
            .is_ok()
            && !self.shared.undrained.load(Ordering::Relaxed);
        self.stop_http.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.http).await;
        if !drained {
            tracing::warn!("some workers did not drain in time: unfinished records will be read again");
        }
        drained
    }
}

/// Logs at an interval what is still not ready, until the process stops.
async fn remind(health: Health, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REMINDER_INTERVAL) => health.remind(),
        }
    }
}

/// Ends the process now. Dropping the Tokio runtime would wait indefinitely for blocking tasks (for example on a hung network
/// share) and ignore signals. Draining has finished before.
pub fn exit(code: u8) -> ! {
    xact_telemetry::flush();
    std::process::exit(code.into())
}

/// Logs the start with the effective settings, secrets hidden, as one line. In development they are left out.
pub fn log_start(environment: &Environment, settings: &Settings, what: &str) {
    let shown = settings.dev.is_none().then(|| {
        let settings: BTreeMap<_, _> = environment.describe().into_iter().collect();
        serde_json::to_string(&settings).unwrap_or_default()
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), what, settings = shown, "starting");
    if !settings.identity_scopes().is_empty() {
        match settings.identity() {
            Ok(identity) => tracing::info!(identity = identity.describe(), "Azure identity"),
            Err(error) => tracing::error!(%error, "Azure identity"),
        }
    }
}

/// Implements `main` of a handler's binary: runs the handler, or with `--live` or `--ready` probes the one that runs here. The
/// exit code of a probe is 0 for yes and 1 for no.
#[must_use]
pub fn run(stage: Stage, factory: Factory) -> ExitCode {
    let (error, code) = match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Run) => match on_async_runtime(stage, run_stage(stage, factory)) {
            Ok(()) => exit(0),
            Err(error) => (error.to_string(), 2),
        },
        Ok(Command::Probe(path)) => match probe::probe(path) {
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

/// Runs a stage on one thread for asynchronous work, unless `TOKIO_WORKER_THREADS` says otherwise.
///
/// A stage mostly waits, and is scaled by its replicas. With a thread for each core, the work on a record moves between them:
/// on two cores that was a third of the CPU time (`tests/bench --only whole`). The event ingester computes instead of waiting,
/// and gets a thread for each core.
fn on_async_runtime(stage: Stage, work: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if stage != Stage::EventIngester && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        runtime.worker_threads(1);
    }
    runtime
        .enable_all()
        .build()
        .map_err(StartError::Threads)?
        .block_on(work)
}

async fn run_stage(stage: Stage, factory: Factory) -> Result<(), StartError> {
    let mut environment = Environment::of_process();
    load_dotenv(&mut environment)?;
    let settings = Settings::from_environment(&environment)?;
    xact_telemetry::init(&settings, &format!("xact-pipeline-{stage}"))?;
    log_start(&environment, &settings, stage.name());
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
