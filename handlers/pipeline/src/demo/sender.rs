//! Sends samples no faster than the pipeline processes them: the embedded broker keeps only 5 MiB per partition.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::events::Sample;
use crate::outcome::CommandError;
use xact_config::Settings;
use xact_kafka::admin::LagReader;
use xact_kafka::{Outgoing, Producer};
use xact_telemetry::health::Health;
use xact_telemetry::trace_context::TraceContext;

/// Maximum lag of one partition on the embedded broker: records of less than 4 KB fit into its 5 MiB.
pub(crate) const MAX_EMBEDDED_LAG: u64 = 1_200;

/// Maximum lag of one partition on a real broker. It could keep more, but the demo measures latency.
pub(crate) const MAX_BROKER_LAG: u64 = 5_000;

/// Maximum number of records of one partition that an event becomes: itself, or one per attachment.
const FAN_OUT: u64 = 6;

/// Events that are sent before their acknowledgements are awaited together.
const BATCH: usize = 500;

/// Wait before the lag is read again.
const LAG_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Wait for acknowledgements after a stop was requested.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends samples.
pub(crate) struct Sender {
    producer: Arc<Producer>,
    topic: String,
    lags: Option<Arc<LagReader>>,
    settings: Settings,
    max_lag: u64,
    /// Events that may be sent before the lag is read again.
    budget: u64,
    batch: Vec<Outgoing>,
}

impl Sender {
    /// Connects to the broker.
    pub(crate) fn connect(settings: &Settings, max_lag: u64) -> Result<Self, CommandError> {
        Ok(Self {
            producer: Producer::new(settings.cluster_of_events(), Health::default(), "producer")?,
            topic: settings.topics.raw.clone(),
            lags: None,
            settings: settings.clone(),
            max_lag,
            budget: 0,
            batch: Vec::new(),
        })
    }

    /// Sends a sample as soon as the lag allows it and returns it with the time of sending; `None` if `stop` was cancelled before.
    pub(crate) async fn send(
        &mut self,
        mut sample: Sample,
        stop: &CancellationToken,
    ) -> Result<Option<Sample>, CommandError> {
        while self.budget < sample.times as u64 {
            if stop.is_cancelled() {
                return Ok(None);
            }
            self.flush(stop).await?;
            self.budget = self.max_lag.saturating_sub(self.worst_lag().await?) / FAN_OUT;
            if self.budget == 0 {
                tokio::time::sleep(LAG_POLL_INTERVAL).await;
            }
        }
        self.budget -= sample.times as u64;
        let value = sample.message(Timestamp::now());
        for _ in 0..sample.times {
            self.batch.push(Outgoing {
                topic: self.topic.clone(),
                key: sample.trace_id.clone(),
                value: value.clone(),
                trace: TraceContext::new(),
            });
        }
        if self.batch.len() >= BATCH {
            self.flush(stop).await?;
        }
        Ok(Some(sample))
    }

    /// Sends the batch and waits for its acknowledgements.
    pub(crate) async fn flush(&mut self, stop: &CancellationToken) -> Result<(), CommandError> {
        let batch = std::mem::take(&mut self.batch);
        // A sample counts as sent once it is in the batch. Therefore `stop` does not cancel the delivery: a running broker has
        // a few seconds to acknowledge it.
        let never = CancellationToken::new();
        let deliver = self.producer.deliver(&batch, &never);
        tokio::select! {
            delivered = deliver => Ok(delivered?),
            () = async { stop.cancelled().await; tokio::time::sleep(FLUSH_TIMEOUT).await } => {
                Err("stopped while the broker did not answer".into())
            }
        }
    }

    /// Returns the lag of all groups together.
    pub(crate) async fn total_lag(&mut self) -> Result<u64, CommandError> {
        Ok(self.lag().await?.iter().sum())
    }

    async fn worst_lag(&mut self) -> Result<u64, CommandError> {
        Ok(self.lag().await?.into_iter().max().unwrap_or(0))
    }

    async fn lag(&mut self) -> Result<Vec<u64>, CommandError> {
        let settings = self.settings.clone();
        let lags = self.lags.clone();
        let (lags, reader) = tokio::task::spawn_blocking(move || {
            let reader = match lags {
                Some(reader) => reader,
                None => Arc::new(LagReader::new(&settings)?),
            };
            let lags = reader.read()?;
            Ok::<_, xact_kafka::admin::AdminError>((lags, reader))
        })
        .await??;
        self.lags = Some(reader);
        Ok(lags.iter().map(xact_kafka::admin::PartitionLag::lag).collect())
    }
}
