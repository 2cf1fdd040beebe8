//! Work on records: one by one ([`each`]) or in batches ([`batch`]), behind one interface for Kafka and `/invoke`.

mod batch;
mod each;
mod panicked;

pub use batch::BatchService;
pub use each::EachService;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::consume::{Limits, Sink};
use crate::handler::{AssignError, Assigned, Starts, Unavailable};
use crate::routing::{End, Routed, Routing};
use xact_contracts::ids::AppId;
use xact_contracts::topology::Stage;
use xact_kafka::commit_note::TablePositions;
use xact_kafka::producer::{Producer, Unfinished};
use xact_kafka::record::Record;
use xact_telemetry::health::{Health, Waiting};
use xact_telemetry::metrics::{DOMAIN, metrics};

/// A boxed future: the price of holding services of different handlers in one list.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stage's handler as the runtime sees it.
pub trait Service: Send + Sync + 'static {
    /// The stage.
    fn stage(&self) -> Stage;

    /// How much may be held and worked on at once.
    fn limits(&self) -> Limits;

    /// Tells the handler which partitions it is about to read; the answer is where to begin instead.
    fn assigned<'a>(&'a self, partitions: &'a [Assigned]) -> Boxed<'a, Result<Starts, AssignError>>;

    /// How far the stage's tables are in a partition that was assigned; nothing for a stage without tables.
    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        let _ = app_id;
        TablePositions::new()
    }

    /// Works on records that did not come from a topic; for each, whether it was finished.
    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> Boxed<'static, Vec<bool>>;

    /// Where the consumer puts the records it takes.
    #[doc(hidden)]
    fn sink(self: Arc<Self>, context: Arc<WorkerContext>, handle: Handle) -> SinkBox;
}

/// Hides the consumer's own types from handlers.
#[doc(hidden)]
pub struct SinkBox(pub(crate) Box<dyn Sink>);

/// What every service of a worker works with.
pub struct WorkerContext {
    /// Name of the worker in health and logs.
    pub worker: String,
    /// Consumer group, for metrics.
    pub group: String,
    /// Where failed messages go.
    pub routing: Routing,
    /// Where produced messages go.
    pub producer: Arc<Producer>,
    /// The process's health.
    pub health: Health,
    /// The time.
    pub clock: Clock,
    /// Stops waiting.
    pub drain: CancellationToken,
}

impl WorkerContext {
    /// A dependency is not there, and a message waits for it until the guard is dropped.
    pub(crate) fn wait_for(&self, unavailable: &Unavailable) -> Waiting {
        let component = format!("{}/{}", self.worker, unavailable.dependency);
        self.health.wait_for(&component, &unavailable.reason)
    }

    /// Sends what came of a record and counts its failures.
    pub(crate) async fn deliver(&self, routed: &Routed, stop: &CancellationToken) -> Result<(), Unfinished> {
        self.producer.deliver(&routed.outgoing, stop).await?;
        for failure in &routed.failures {
            let category = failure.category;
            match failure.end {
                End::Retried(delay) => {
                    metrics().retry_attempts(DOMAIN, category).inc();
                    metrics().retry_delay(DOMAIN).observe(delay.as_secs_f64());
                }
                End::Exhausted => {
                    metrics().retry_exhausted(DOMAIN, category).inc();
                    metrics().dead_letters(DOMAIN, "exhausted").inc();
                }
                End::Permanent => metrics().dead_letters(DOMAIN, "permanent").inc(),
                End::Dropped => {}
            }
        }
        Ok(())
    }

    /// Counts a record that is finished.
    pub(crate) fn count(&self, record: &Record, routed: &Routed, readable: bool) {
        let status = match (readable, routed.failures.is_empty()) {
            (false, _) => "unreadable",
            (true, true) => "success",
            (true, false) => "failed",
        };
        metrics().consumed(&record.topic, &self.group, status).inc();
        for failure in &routed.failures {
            metrics()
                .processing_errors(&record.topic, &self.group, failure.category)
                .inc();
        }
        if let Some(written) = record.timestamp {
            let latency = self.clock.now().duration_since(written).as_secs_f64();
            metrics().stage_latency(self.routing.stage).observe(latency.max(0.0));
        }
    }
}
