//! One worker: a stage's service on its consumer, restarted with backoff when it fails as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::consume::{Begin, Consumer, Subscription};
use crate::handler::{Assigned, Unavailable};
use crate::routing::Routing;
use crate::work::{Service, WorkerContext};
use xact_config::{OffsetReset, Settings};
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::Producer;
use xact_kafka::backoff;
use xact_telemetry::health::Health;
use xact_telemetry::metrics::metrics;

/// Longest wait for a stage to look at its new partitions.
const ASSIGN: Duration = Duration::from_secs(30);

/// A handler could not be made: bad configuration, or a folder or table that cannot be used. Says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(String);

impl SetupError {
    /// With a text for the operator.
    #[must_use]
    pub fn new(text: impl std::fmt::Display) -> Self {
        Self(xact_contracts::redaction::redact_text(&text.to_string()))
    }
}

/// Makes a stage's service; called again when the worker restarts.
pub type Factory = Arc<dyn Fn(&Settings) -> Result<Arc<dyn Service>, SetupError> + Send + Sync>;

/// What all workers of a process share.
#[derive(Clone)]
pub struct Shared {
    /// Configuration.
    pub settings: Arc<Settings>,
    /// Health of the process.
    pub health: Health,
    /// Producer for the internal topics.
    pub producer: Arc<Producer>,
    /// The time.
    pub clock: Clock,
    /// Cancelled when the process drains.
    pub drain: CancellationToken,
    /// Some worker's work outlasted the grace period.
    pub undrained: Arc<AtomicBool>,
}

/// A running service with its context.
pub type Current = (Arc<dyn Service>, Arc<WorkerContext>);

/// One worker of a process.
pub struct Worker {
    /// Name in health and logs: the stage's, with a number when there are several.
    pub name: String,
    /// The stage.
    pub stage: Stage,
    factory: Factory,
    shared: Shared,
    /// The service while it runs, for `/invoke`.
    current: RwLock<Option<Current>>,
}

impl Worker {
    /// A worker that does not run yet.
    #[must_use]
    pub fn new(name: String, stage: Stage, factory: Factory, shared: Shared) -> Arc<Self> {
        Arc::new(Self {
            name,
            stage,
            factory,
            shared,
            current: RwLock::new(None),
        })
    }

    /// The running service.
    #[must_use]
    pub fn service(&self) -> Option<Current> {
        self.current.read().clone()
    }

    /// Runs until the process drains. What fails is started again: the other workers go on meanwhile.
    pub async fn run(self: Arc<Self>) {
        let mut waits = backoff::restart();
        let drain = self.shared.drain.clone();
        while !drain.is_cancelled() {
            let started = std::time::Instant::now();
            let Err(error) = self.run_once().await else {
                continue;
            };
            metrics().worker_restarts(&self.name).inc();
            // A worker that ran for long starts its waits anew.
            if started.elapsed() > Duration::from_secs(300) {
                waits = backoff::restart();
            }
            let wait = waits.next().unwrap_or_default();
            self.shared
                .health
                .down(&self.name, format!("{error}; next start in {} s", wait.as_secs()));
            tracing::error!(
                worker = self.name,
                error = error.to_string(),
                "worker failed; it starts again"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = drain.cancelled() => {}
            }
        }
        self.shared.health.forget(&self.name);
    }

    async fn run_once(&self) -> Result<(), SetupError> {
        let shared = &self.shared;
        let settings = &shared.settings;
        let service = {
            // It may look at folders: on a share that hangs, that must not hold up the others.
            let (factory, settings) = (Arc::clone(&self.factory), Arc::clone(settings));
            tokio::task::spawn_blocking(move || factory(&settings))
                .await
                .map_err(|error| SetupError::new(format_args!("the handler cannot be made: {error}")))??
        };
        // Ends the tasks of this run, not those of the process.
        let run = shared.drain.child_token();
        let _end = run.clone().drop_guard();
        let context = Arc::new(WorkerContext {
            worker: self.name.clone(),
            group: settings.groups.of(self.stage),
            routing: Routing {
                stage: self.stage,
                topics: settings.topics.clone(),
                max_retries: settings.max_retries,
            },
            producer: Arc::clone(&shared.producer),
            health: shared.health.clone(),
            clock: shared.clock.clone(),
            drain: run.clone(),
        });
        let role = self.stage.row().consumes;
        let cluster = match role {
            TopicRole::Raw => settings.cluster_of_events(),
            _ => &settings.internal_cluster,
        };
        let consumer = Consumer::new(Subscription {
            worker: &self.name,
            settings,
            cluster,
            group: &context.group,
            topics: &settings.topics.of(role),
            limits: service.limits(),
            // An internal topic holds our own messages: to begin at its end would lose them.
            reset: match role {
                TopicRole::Raw => settings.offset_reset,
                _ => OffsetReset::Earliest,
            },
            health: shared.health.clone(),
            drain: run.clone(),
        })
        .map_err(SetupError::new)?;
        let wake = consumer.wake();
        tokio::spawn(async move {
            run.cancelled().await;
            wake.wake();
        });
        let handle = tokio::runtime::Handle::current();
        let sink = Arc::clone(&service).sink(Arc::clone(&context), handle.clone());
        *self.current.write() = Some((Arc::clone(&service), context));
        let (send, receive) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                let on_assigned = |partitions: &[Assigned]| {
                    handle.block_on(async {
                        // The polling thread must come round, whatever the tables do.
                        let asked = tokio::time::timeout(ASSIGN, service.assigned(partitions)).await;
                        let starts = asked.unwrap_or_else(|_| {
                            let reason = format!("no answer within {} s", ASSIGN.as_secs());
                            Err(Unavailable::new("delta", reason).into())
                        })?;
                        let app_ids = partitions.iter().map(|partition| partition.app_id.clone());
                        let tables = app_ids.map(|app_id| {
                            let positions = service.table_positions(&app_id);
                            (app_id, positions)
                        });
                        let tables = tables.collect();
                        Ok(Begin { starts, tables })
                    })
                };
                // The receiver is gone only with the process.
                let _ = send.send(consumer.run(&*sink.0, &on_assigned));
            })
            .map_err(|error| SetupError::new(format_args!("no thread for the worker: {error}")))?;
        match receive.await {
            Ok(Ok(drained)) => {
                shared.undrained.fetch_or(!drained, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(error)) => Err(SetupError::new(error)),
            // The sender was dropped without a word: the thread panicked.
            Err(_) => Err(SetupError::new(
                "the polling thread panicked; its last words are in the log",
            )),
        }
    }
}
