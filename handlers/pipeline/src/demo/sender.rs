//! Sends samples no faster than the pipeline takes them: the embedded broker forgets what is beyond its 5 MiB.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::events::Sample;
use xact_config::Settings;
use xact_kafka::admin::LagReader;
use xact_kafka::{Outgoing, Producer};
use xact_telemetry::health::Health;
use xact_telemetry::trace_context::TraceContext;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Most unfinished records of one partition on the embedded broker: at under 4 KB each they fit its 5 MiB.
pub(crate) const EMBEDDED_LAG: u64 = 1_200;

/// Most unfinished records of one partition on a real broker: it could keep more, but the demo measures latency.
pub(crate) const BROKER_LAG: u64 = 5_000;

/// Each event may become so many records of one partition: itself, or one per attachment.
const FAN_OUT: u64 = 6;

/// Events that are sent before their acknowledgements are awaited together.
const CHUNK: usize = 500;

/// How long to wait before looking at lag again.
const HOLD: Duration = Duration::from_millis(50);

/// Sends samples.
pub(crate) struct Sender {
    producer: Arc<Producer>,
    topic: String,
    lags: Option<Arc<LagReader>>,
    settings: Settings,
    most: u64,
    /// Events that may be sent before lag is looked at again.
    room: u64,
    waiting: Vec<Outgoing>,
}

impl Sender {
    /// Connects to the broker.
    pub(crate) async fn connect(settings: &Settings, most: u64) -> Result<Self, Error> {
        Ok(Self {
            producer: Producer::new(settings.cluster_of_events(), Health::default(), "producer")?,
            topic: settings.topics.raw.clone(),
            lags: None,
            settings: settings.clone(),
            most,
            room: 0,
            waiting: Vec::new(),
        })
    }

    /// Sends a sample once there is room for it; returns it stamped, or nothing when told to stop.
    pub(crate) async fn send(&mut self, mut sample: Sample, stop: &CancellationToken) -> Result<Option<Sample>, Error> {
        while self.room < sample.times as u64 {
            if stop.is_cancelled() {
                return Ok(None);
            }
            self.flush(stop).await?;
            self.room = self.most.saturating_sub(self.worst_lag().await?) / FAN_OUT;
            if self.room == 0 {
                tokio::time::sleep(HOLD).await;
            }
        }
        self.room -= sample.times as u64;
        let value = sample.message(Timestamp::now());
        for _ in 0..sample.times {
            self.waiting.push(Outgoing {
                topic: self.topic.clone(),
                key: sample.trace_id.clone(),
                value: value.clone(),
                trace: TraceContext::new(),
            });
        }
        if self.waiting.len() >= CHUNK {
            self.flush(stop).await?;
        }
        Ok(Some(sample))
    }

    /// Waits for the last acknowledgements.
    pub(crate) async fn finish(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        self.flush(stop).await
    }

    async fn flush(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        // What was counted as sent is sent, also when told to stop: a moment's grace on a living broker.
        let grace = CancellationToken::new();
        let deliver = self.producer.deliver(&waiting, &grace);
        tokio::select! {
            delivered = deliver => Ok(delivered?),
            () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_secs(5)).await } => {
                Err("stopped while the broker did not answer".into())
            }
        }
    }

    /// Unfinished records of all groups together.
    pub(crate) async fn total_lag(&mut self) -> Result<u64, Error> {
        Ok(self.lag().await?.iter().sum())
    }

    async fn worst_lag(&mut self) -> Result<u64, Error> {
        Ok(self.lag().await?.into_iter().max().unwrap_or(0))
    }

    async fn lag(&mut self) -> Result<Vec<u64>, Error> {
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
