//! Sending: batched, pipelined, idempotent, and not over before the broker has acknowledged.

use crate::backoff;
use crate::cluster;
use crate::config::ClusterSettings;
use crate::health::Health;
use crate::metrics::metrics;
use crate::record::{TRACEPARENT, TRACESTATE};
use crate::trace_context::TraceContext;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use rdkafka::statistics::Statistics;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A record for the broker.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Topic.
    pub topic: String,
    /// Key: the trace id.
    pub key: String,
    /// Value: JSON.
    pub value: Vec<u8>,
    /// Trace that it belongs to.
    pub trace: TraceContext,
}

/// Told to stop before everything was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the broker acknowledged everything")]
pub struct Unfinished;

/// The librdkafka client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka producer cannot be made: {0}; check the bootstrap servers and the security settings")]
pub struct ProducerError(#[from] KafkaError);

/// A producer for one cluster, shared by all workers of a process.
pub struct Producer {
    client: RwLock<Arc<FutureProducer<Context>>>,
    cluster: ClusterSettings,
    health: Health,
    component: &'static str,
}

/// Longest wait for room in librdkafka's queue before trying again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(20);

impl Producer {
    /// Makes the client; it connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(cluster: &ClusterSettings, health: Health, component: &'static str) -> Result<Arc<Self>, ProducerError> {
        Ok(Arc::new(Self {
            client: RwLock::new(Arc::new(make_client(cluster)?)),
            cluster: cluster.clone(),
            health,
            component,
        }))
    }

    /// Sends everything and returns when all of it is acknowledged. What the broker does not take is sent again,
    /// however long that takes, until `stop`.
    ///
    /// # Errors
    /// Only [`Unfinished`], after `stop`: then the caller must not count the work as done.
    pub async fn deliver(&self, outgoing: &[Outgoing], stop: &CancellationToken) -> Result<(), Unfinished> {
        let mut left: Vec<&Outgoing> = outgoing.iter().collect();
        let mut waits = backoff::dependency();
        // Shown in readiness until this delivery has gone through or was given up.
        let mut waiting = None;
        while !left.is_empty() {
            let Attempt { failed, trouble } = self.attempt(&left).await;
            left = failed;
            if left.is_empty() {
                break;
            }
            let wait = match trouble {
                Some(reason) => {
                    waiting = Some(self.health.wait_for(self.component, reason));
                    waits.next().unwrap_or(QUEUE_FULL_WAIT)
                }
                None => QUEUE_FULL_WAIT,
            };
            tokio::select! {
                () = stop.cancelled() => return Err(Unfinished),
                () = tokio::time::sleep(wait) => {}
            }
        }
        drop(waiting);
        Ok(())
    }

    /// One attempt at sending all.
    async fn attempt<'a>(&self, outgoing: &[&'a Outgoing]) -> Attempt<'a> {
        let client = self.client();
        let mut sent: Vec<(&Outgoing, DeliveryFuture)> = Vec::with_capacity(outgoing.len());
        let mut attempt = Attempt::default();
        for &out in outgoing {
            match client.send_result(record_of(out)) {
                Ok(delivery) => sent.push((out, delivery)),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => attempt.failed.push(out),
                Err((error, _)) => attempt.fail(out, &error),
            }
        }
        for (out, delivery) in sent {
            match delivery.await {
                Ok(Ok(_)) => {
                    let metrics = metrics();
                    metrics
                        .produced
                        .with_label_values(&[out.topic.as_str(), "success"])
                        .inc();
                    metrics
                        .produced_bytes
                        .with_label_values(&[&out.topic])
                        .inc_by(out.value.len() as u64);
                }
                Ok(Err((error, _))) => attempt.fail(out, &error),
                Err(_) => attempt.failed.push(out),
            }
        }
        if attempt.trouble.is_some() {
            self.replace_if_fatal(&client);
        }
        attempt
    }

    fn client(&self) -> Arc<FutureProducer<Context>> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An idempotent producer may end for good; a new one starts with a new id. Only the first who notices makes it.
    fn replace_if_fatal(&self, failed: &Arc<FutureProducer<Context>>) {
        let Some((code, reason)) = failed.client().fatal_error() else {
            return;
        };
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        tracing::warn!(
            ?code,
            reason,
            "the idempotent producer is beyond repair: making a new one"
        );
        match make_client(&self.cluster) {
            Ok(new) => {
                let old = std::mem::replace(&mut *current, Arc::new(new));
                drop(current);
                // Whoever drops it last waits for its thread: not on one of ours.
                tokio::task::spawn_blocking(move || drop(old));
            }
            Err(error) => tracing::error!(%error, "no new producer could be made; trying again"),
        }
    }
}

/// What one attempt at sending left.
#[derive(Default)]
struct Attempt<'a> {
    failed: Vec<&'a Outgoing>,
    /// Why, unless it was only for want of room in the queue.
    trouble: Option<String>,
}

impl<'a> Attempt<'a> {
    fn fail(&mut self, out: &'a Outgoing, error: &KafkaError) {
        let code = error
            .rdkafka_error_code()
            .map_or_else(|| "other".to_owned(), |code| format!("{code:?}"));
        let metrics = metrics();
        metrics.produced.with_label_values(&[out.topic.as_str(), "error"]).inc();
        metrics
            .producer_errors
            .with_label_values(&[out.topic.as_str(), &code])
            .inc();
        self.failed.push(out);
        self.trouble = Some(format!(
            "the broker did not take a record for {}: {error}; it is sent again until it does",
            out.topic
        ));
    }
}

fn record_of(out: &Outgoing) -> FutureRecord<'_, String, Vec<u8>> {
    let parent = out.trace.to_string();
    let mut headers = OwnedHeaders::new_with_capacity(4)
        .insert(header("trace_id", &out.key))
        .insert(header("content-type", "application/json"))
        .insert(header(TRACEPARENT, &parent));
    if let Some(state) = out.trace.state() {
        headers = headers.insert(header(TRACESTATE, state));
    }
    let record = FutureRecord::to(&out.topic).payload(&out.value).headers(headers);
    if out.key.is_empty() {
        record
    } else {
        record.key(&out.key)
    }
}

fn header<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key,
        value: Some(value),
    }
}

fn make_client(cluster: &ClusterSettings) -> Result<FutureProducer<Context>, KafkaError> {
    cluster::producer(cluster).create_with_context(Context)
}

/// Keeps librdkafka's own lines in our log, and the connection gauge current.
#[derive(Clone)]
struct Context;

impl ClientContext for Context {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
        log_librdkafka(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka producer");
    }

    fn stats(&self, statistics: Statistics) {
        metrics()
            .connection
            .with_label_values(&["producer"])
            .set(i64::from(is_connected(&statistics)));
    }
}

/// librdkafka repeats itself for each attempt and broker: its own lines are for debugging, readiness tells the state.
pub(crate) fn log_librdkafka(level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
    tracing::debug!(target: "librdkafka", ?level, fac, "{message}");
}

pub(crate) fn is_connected(statistics: &Statistics) -> bool {
    statistics.brokers.values().any(|broker| broker.state == "UP")
}

/// How long the broker that is silent the longest has owed an answer; `None` if none does. Connections to a frozen
/// broker stay open, and librdkafka itself gives up on a request only after a minute.
pub(crate) fn silence(statistics: &Statistics) -> Option<Duration> {
    let owing = statistics.brokers.values().filter(|broker| {
        // The coordinator's own connection may rightly be silent for a whole rebalance.
        broker.state == "UP" && broker.source != "logical" && broker.waitresp_cnt > 0
    });
    owing
        .filter_map(|broker| u64::try_from(broker.rxidle).ok())
        .max()
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::Broker;

    #[test]
    fn only_a_broker_that_owes_an_answer_is_silent() {
        let after = |state: &str, source: &str, waitresp_cnt, seconds: i64| {
            let broker = Broker {
                state: state.to_owned(),
                source: source.to_owned(),
                waitresp_cnt,
                rxidle: seconds * 1_000_000,
                ..Broker::default()
            };
            let statistics = Statistics {
                brokers: [("b".to_owned(), broker)].into(),
                ..Statistics::default()
            };
            silence(&statistics)
        };
        assert_eq!(after("UP", "learned", 1, 12), Some(Duration::from_secs(12)));
        assert_eq!(after("UP", "learned", 0, 12), None, "nothing was asked");
        assert_eq!(after("UP", "logical", 1, 12), None, "the group rebalances");
        assert_eq!(after("DOWN", "learned", 1, 12), None, "told otherwise");
    }
}
