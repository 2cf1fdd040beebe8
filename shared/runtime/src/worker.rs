//! One worker: a stage's service on its consumer, restarted with backoff after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::consume::{ConsumeError, Consumer, Limits, StageStarts, Subscription};
use crate::handler::{AssignError, Assigned, Unavailable};
use crate::routing::Routing;
use crate::work::{Service, WorkerContext};
use xact_config::{OffsetReset, Settings};
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::{Producer, backoff};
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// Longest wait for a stage's answer about its newly assigned partitions.
const ASSIGN_TIMEOUT: Duration = Duration::from_secs(30);

/// A worker could not start: bad configuration, or a folder, table or broker that cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(String);

impl SetupError {
    /// Creates the error with a text for the operator, which is redacted.
    #[must_use]
    pub fn new(text: impl std::fmt::Display) -> Self {
        Self(xact_contracts::redaction::redact_text(&text.to_string()))
    }
}

/// Creates a stage's service. It is called again when the worker restarts.
pub type Factory = Arc<dyn Fn(&Settings) -> Result<Service, SetupError> + Send + Sync>;

/// A worker that ran for longer starts its restart delays from the beginning.
const BACKOFF_RESET_INTERVAL: Duration = Duration::from_secs(300);

/// What all workers of a process share.
#[derive(Clone)]
pub struct Shared {
    /// Configuration.
    pub settings: Arc<Settings>,
    /// Health of the process.
    pub health: Health,
    /// Producer for the internal topics.
    pub producer: Arc<Producer>,
    /// Cancelled when the process drains.
    pub drain: CancellationToken,
    /// Whether a worker's work outlasted the grace period.
    pub undrained: Arc<AtomicBool>,
}

/// A running service with its context.
type Running = (Service, Arc<WorkerContext>);

/// One worker of a process.
pub(crate) struct Worker {
    /// Name in health and logs: the stage's, with a number if there are several workers.
    pub(crate) name: String,
    pub(crate) stage: Stage,
    factory: Factory,
    shared: Shared,
    /// The service while it runs, for `/invoke`.
    current: RwLock<Option<Running>>,
}

impl Worker {
    /// Creates a worker that does not run yet.
    pub(crate) fn new(name: String, stage: Stage, factory: Factory, shared: Shared) -> Arc<Self> {
        Arc::new(Self {
            name,
            stage,
            factory,
            shared,
            current: RwLock::new(None),
        })
    }

    /// Returns the running service.
    pub(crate) fn service(&self) -> Option<Running> {
        self.current.read().clone()
    }

    /// Runs until the process drains. After a failure the worker starts again; other workers are not affected.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut delays = backoff::restart();
        let drain = self.shared.drain.clone();
        while !drain.is_cancelled() {
            let started = std::time::Instant::now();
            let Err(error) = self.run_once().await else {
                continue;
            };
            metrics().worker_restarts(&self.name).inc();
            if started.elapsed() > BACKOFF_RESET_INTERVAL {
                delays = backoff::restart();
            }
            let delay = delays.next().unwrap_or_default();
            let reason = format!("{error}; next start in {} s", delay.as_secs());
            self.shared.health.down(&self.name, reason);
            tracing::error!(worker = self.name, %error, "worker failed; it starts again");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = drain.cancelled() => {}
            }
        }
        self.shared.health.forget(&self.name);
    }

    /// Runs the service on a new consumer until the process drains or something fails.
    async fn run_once(&self) -> Result<(), SetupError> {
        let shared = &self.shared;
        let service = self.create_service().await?;
        // Ends the tasks of this run and not those of the process.
        let stop = shared.drain.child_token();
        let _stop_at_end = stop.clone().drop_guard();
        let context = self.context(stop.clone());
        let consumer = self.subscribe(&context.group, service.0.limits(), stop.clone());
        let consumer = consumer.map_err(SetupError::new)?;
        let wake = consumer.wake.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            wake.wake();
        });
        let runtime = Handle::current();
        let sink = Arc::clone(&service.0).start(Arc::clone(&context), runtime.clone());
        *self.current.write() = Some((service.clone(), context));
        let (send, receive) = oneshot::channel();
        std::thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                let on_assigned = |partitions: &[Assigned]| runtime.block_on(ask_service(&service, partitions));
                // The receiver is gone only with the process.
                let _ = send.send(consumer.run(&*sink, &on_assigned));
            })
            .map_err(|error| SetupError::new(format_args!("the polling thread cannot be started: {error}")))?;
        match receive.await {
            Ok(Ok(drained)) => {
                shared.undrained.fetch_or(!drained, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(error)) => Err(SetupError::new(error)),
            // The sender was dropped: the thread panicked.
            Err(_) => {
                let text = "the polling thread panicked; see the log for the panic message";
                Err(SetupError::new(text))
            }
        }
    }

    async fn create_service(&self) -> Result<Service, SetupError> {
        // On a thread for blocking work, because it may access folders: a hung network share must not block other workers.
        let (factory, settings) = (Arc::clone(&self.factory), Arc::clone(&self.shared.settings));
        tokio::task::spawn_blocking(move || factory(&settings))
            .await
            .map_err(|error| SetupError::new(format_args!("the handler cannot be created: {error}")))?
    }

    fn context(&self, stop: CancellationToken) -> Arc<WorkerContext> {
        let shared = &self.shared;
        Arc::new(WorkerContext {
            worker: self.name.clone(),
            group: shared.settings.groups.of(self.stage),
            routing: Routing {
                stage: self.stage,
                topics: shared.settings.topics.clone(),
                max_retries: shared.settings.max_retries,
            },
            producer: Arc::clone(&shared.producer),
            health: shared.health.clone(),
            drain: stop,
        })
    }

    fn subscribe(&self, group: &str, limits: Limits, stop: CancellationToken) -> Result<Consumer, ConsumeError> {
        let settings = &self.shared.settings;
        let role = self.stage.row().consumes;
        let (cluster, reset) = match role {
            TopicRole::Raw => (settings.cluster_of_events(), settings.offset_reset),
            // An internal topic holds the pipeline's own messages. To start at its end would lose them.
            _ => (&settings.internal_cluster, OffsetReset::Earliest),
        };
        Consumer::new(Subscription {
            worker: &self.name,
            settings,
            cluster,
            group,
            topics: &settings.topics.of(role),
            limits,
            reset,
            health: self.shared.health.clone(),
            stop,
        })
    }
}

/// Asks the service about newly assigned partitions, within a time limit: the polling thread delays for it.
async fn ask_service(service: &Service, partitions: &[Assigned]) -> Result<StageStarts, AssignError> {
    let answer = tokio::time::timeout(ASSIGN_TIMEOUT, service.0.assigned(partitions)).await;
    let starts = answer.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", ASSIGN_TIMEOUT.as_secs());
        Err(Unavailable::new("delta", reason).into())
    })?;
    let table_positions = partitions.iter().map(|partition| {
        let app_id = partition.app_id.clone();
        (app_id.clone(), service.0.table_positions(&app_id))
    });
    Ok(StageStarts {
        starts,
        table_positions: table_positions.collect(),
    })
}
