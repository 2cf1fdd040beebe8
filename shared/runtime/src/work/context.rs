//! What a worker's services work with.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::handler::Unavailable;
use crate::routing::{FailureOutcome, Routed, Routing};
use xact_kafka::{DeliveryStoppedError, Producer, Record};
use xact_telemetry::health::{Health, Waiting};
use xact_telemetry::metrics::{DOMAIN, metrics};

/// The shared dependencies of a worker.
pub(crate) struct WorkerContext {
    /// Name of the worker in health and logs.
    pub(crate) worker: String,
    /// Consumer group, for metrics.
    pub(crate) group: String,
    pub(crate) routing: Routing,
    pub(crate) producer: Arc<Producer>,
    pub(crate) health: Health,
    /// Cancelled when the worker drains: waits end.
    pub(crate) drain: CancellationToken,
}

impl WorkerContext {
    /// Reports an unavailable dependency in readiness until the guard is dropped.
    pub(crate) fn wait_for(&self, unavailable: &Unavailable) -> Waiting {
        let component = format!("{}/{}", self.worker, unavailable.dependency);
        self.health.wait_for(&component, &unavailable.reason)
    }

    /// Produces the records that resulted from a record, and counts its failures.
    pub(crate) async fn deliver(&self, routed: &Routed, stop: &CancellationToken) -> Result<(), DeliveryStoppedError> {
        self.producer.deliver(&routed.outgoing, stop).await?;
        for &(category, outcome) in &routed.failures {
            match outcome {
                FailureOutcome::Retried(delay) => {
                    metrics().retry_attempts(DOMAIN, category).inc();
                    metrics().retry_delay(DOMAIN).observe(delay.as_secs_f64());
                }
                FailureOutcome::Exhausted => {
                    metrics().retry_exhausted(DOMAIN, category).inc();
                    metrics().dead_letters(DOMAIN, "exhausted").inc();
                }
                FailureOutcome::Permanent => metrics().dead_letters(DOMAIN, "permanent").inc(),
                FailureOutcome::Dropped => {}
            }
        }
        Ok(())
    }

    /// Counts a record that is done.
    pub(crate) fn count(&self, record: &Record, routed: &Routed, is_readable: bool) {
        let status = match (is_readable, routed.failures.is_empty()) {
            (false, _) => "unreadable",
            (true, true) => "success",
            (true, false) => "failed",
        };
        metrics().consumed(&record.topic, &self.group, status).inc();
        for &(category, _) in &routed.failures {
            let errors = metrics().processing_errors(&record.topic, &self.group, category);
            errors.inc();
        }
        if let Some(written) = record.timestamp {
            let latency = Timestamp::now().duration_since(written).as_secs_f64();
            metrics().stage_latency(self.routing.stage).observe(latency.max(0.0));
        }
    }
}
