//! The producer: idempotent, pipelined, and done with a record only when the broker has acknowledged it.

mod client;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use tokio_util::sync::CancellationToken;

use crate::backoff;
use crate::connection::{Permission, TopicAuthorization};
use crate::connection_error::is_authorization_error;
use crate::record::{TRACEPARENT, TRACESTATE};
use client::Client;
use xact_config::{ClusterSettings, Security};
use xact_telemetry::health::{Health, Waiting};
use xact_telemetry::metrics::{Status, metrics};
use xact_telemetry::trace_context::TraceContext;

/// A record to produce.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Topic.
    pub topic: String,
    /// Key: the trace id.
    pub key: String,
    /// Value: JSON.
    pub value: Vec<u8>,
    /// The trace that the record belongs to.
    pub trace: TraceContext,
}

/// The delivery was stopped before the broker acknowledged every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the broker acknowledged everything")]
pub struct DeliveryStoppedError;

/// The librdkafka client could not be created.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka producer cannot be created: {0}; check the bootstrap servers and the security settings")]
pub struct ProducerError(#[from] KafkaError);

/// A producer for one cluster, shared by all workers of a process.
pub struct Producer {
    client: RwLock<Arc<Client>>,
    cluster: ClusterSettings,
    /// Whether the client may write, by topic.
    authorizations: Mutex<HashMap<String, Arc<TopicAuthorization>>>,
    health: Health,
    component: &'static str,
}

/// Delay before the next attempt when librdkafka's queue was full, and the only reason for it.
const QUEUE_FULL_DELAY: Duration = Duration::from_millis(20);

/// Acknowledgements that take longer are reported in readiness. librdkafka itself reports a failure only after two minutes.
const SLOW_DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

impl Producer {
    /// Creates the client, which connects in the background.
    ///
    /// # Errors
    /// When librdkafka rejects the settings.
    pub fn new(cluster: &ClusterSettings, health: Health, component: &'static str) -> Result<Arc<Self>, ProducerError> {
        Ok(Arc::new(Self {
            client: RwLock::new(Client::new(cluster)?),
            cluster: cluster.clone(),
            authorizations: Mutex::default(),
            health,
            component,
        }))
    }

    /// Sends the records and returns when the broker has acknowledged all of them. Records that fail are sent again, with
    /// backoff and without a limit, until `stop` is cancelled.
    ///
    /// # Errors
    /// Only [`DeliveryStoppedError`], after `stop`: the caller must not count the work as done.
    pub async fn deliver(&self, outgoing: &[Outgoing], stop: &CancellationToken) -> Result<(), DeliveryStoppedError> {
        let mut left: Vec<&Outgoing> = outgoing.iter().collect();
        let mut delays = backoff::dependency();
        // Keeps readiness down until this delivery has succeeded or was stopped.
        let mut waiting = None;
        while !left.is_empty() {
            let Attempt { failed, error } = self.attempt_reporting_delay(&left, &mut waiting).await;
            left = failed;
            if left.is_empty() {
                break;
            }
            let delay = match error {
                Some(reason) => {
                    waiting = Some(self.health.wait_for(self.component, reason));
                    delays.next().unwrap_or(QUEUE_FULL_DELAY)
                }
                None => QUEUE_FULL_DELAY,
            };
            tokio::select! {
                () = stop.cancelled() => return Err(DeliveryStoppedError),
                () = tokio::time::sleep(delay) => {}
            }
        }
        drop(waiting);
        Ok(())
    }

    /// Makes one attempt, and reports in readiness what it waits for when it takes long.
    async fn attempt_reporting_delay<'a>(
        &self,
        outgoing: &[&'a Outgoing],
        waiting: &mut Option<Waiting>,
    ) -> Attempt<'a> {
        let client = self.usable_client();
        let mut attempt = pin!(self.attempt(&client, outgoing));
        loop {
            tokio::select! {
                attempt = &mut attempt => return attempt,
                () = tokio::time::sleep(SLOW_DELIVERY_TIMEOUT) => {
                    if client.connection.has_lost_all_brokers() {
                        // The queued records fail now, and the next attempt sends them with a new client.
                        client.purge();
                    }
                    let reason = self.explain_delay(&client, outgoing);
                    *waiting = Some(self.health.wait_for(self.component, reason));
                }
            }
        }
    }

    fn explain_delay(&self, client: &Client, outgoing: &[&Outgoing]) -> String {
        let waits = "; records wait for their acknowledgement and are sent again until it comes";
        match (client.connection.current_error(), outgoing.first()) {
            (Some(error), _) => format!("{error}{waits}"),
            (None, out) => format!(
                "{}: no acknowledgement for {} within {} s{waits}",
                self.cluster.bootstrap_servers,
                out.map_or("", |out| &out.topic),
                SLOW_DELIVERY_TIMEOUT.as_secs(),
            ),
        }
    }

    /// Sends the records once and waits for the result of each.
    async fn attempt<'a>(&self, client: &Arc<Client>, outgoing: &[&'a Outgoing]) -> Attempt<'a> {
        let mut sent = Vec::with_capacity(outgoing.len());
        let mut attempt = Attempt::default();
        let mut has_timed_out = false;
        for &out in outgoing {
            match client.send(|delivery| record_of(out, delivery)) {
                Ok(delivery) => sent.push((out, delivery)),
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => attempt.failed.push(out),
                Err(error) => attempt.fail(out, &error, self.explain_failure(client, out, &error)),
            }
        }
        for (out, delivery) in sent {
            match delivery.await {
                Ok(Ok(())) => self.count_delivered(out),
                Ok(Err(error)) => {
                    has_timed_out |= error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut);
                    attempt.fail(out, &error, self.explain_failure(client, out, &error));
                }
                Err(_) => attempt.failed.push(out),
            }
        }
        if attempt.error.is_some() {
            self.replace_if_unusable(client, has_timed_out);
        }
        attempt
    }

    fn count_delivered(&self, out: &Outgoing) {
        let metrics = metrics();
        metrics.produced(&out.topic, Status::Success).inc();
        metrics.produced_bytes(&out.topic).inc_by(out.value.len() as u64);
        if matches!(self.cluster.security, Security::Identity(_)) {
            self.authorization(&out.topic).granted();
        }
    }

    /// Returns what a failure means and what to do about it, for readiness.
    fn explain_failure(&self, client: &Client, out: &Outgoing, error: &KafkaError) -> String {
        let fatal = client.fatal_error().map(|(code, _)| code);
        let mut codes = [error.rdkafka_error_code(), fatal].into_iter().flatten();
        if codes.any(is_authorization_error) {
            let principal = client.connection.principal();
            return self.authorization(&out.topic).denied(principal, error);
        }
        let connection_error = client.connection.current_error();
        let cause = connection_error.map_or_else(|| error.to_string(), |error| error.to_string());
        let topic = &out.topic;
        format!("the broker did not acknowledge a record for {topic}: {cause}; the record is sent again until it does")
    }

    fn authorization(&self, topic: &str) -> Arc<TopicAuthorization> {
        let mut authorizations = self.authorizations.lock();
        let new = || Arc::new(TopicAuthorization::new(Permission::Send, &[topic], &self.cluster));
        Arc::clone(authorizations.entry(topic.to_owned()).or_insert_with(new))
    }

    /// Returns the client, after replacing one that has lost all brokers.
    fn usable_client(&self) -> Arc<Client> {
        let client = Arc::clone(&self.client.read());
        if !client.connection.has_lost_all_brokers() {
            return client;
        }
        self.replace_if_unusable(&client, false);
        Arc::clone(&self.client.read())
    }

    /// Replaces a client that cannot deliver again.
    fn replace_if_unusable(&self, failed: &Arc<Client>, has_timed_out: bool) {
        // librdkafka does not recover from three states. A fatal error ends an idempotent producer permanently; a denied
        // authorization can be such an error. A client that lost all brokers never finds one again. And after a long
        // outage, records of a client whose records timed out may wait forever for earlier in-flight ones, although the
        // broker is back. A new client starts with a new producer id, and the failed records are sent again with it.
        let fatal = failed.fatal_error();
        let has_lost_all_brokers = failed.connection.has_lost_all_brokers();
        if fatal.is_none() && !has_timed_out && !has_lost_all_brokers {
            return;
        }
        // Deliveries run concurrently: the first one that gets here replaces the client.
        let mut current = self.client.write();
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        match fatal {
            // Readiness reports a denied authorization; a warning for each attempt would only repeat it.
            Some((code, reason)) if is_authorization_error(code) => {
                tracing::debug!(?code, reason, "recreating the producer");
            }
            Some((code, reason)) => tracing::warn!(?code, reason, "fatal producer error; recreating the producer"),
            None if has_lost_all_brokers => {
                tracing::info!("client lost all brokers (cluster metadata was empty); recreating the producer");
            }
            None => tracing::info!("records timed out; recreating the producer"),
        }
        match Client::new(&self.cluster) {
            Ok(new) => {
                let old = std::mem::replace(&mut *current, new);
                drop(current);
                drop_in_background(old, has_lost_all_brokers);
            }
            Err(error) => tracing::error!(%error, "the producer could not be recreated; trying again"),
        }
    }
}

/// Drops the client when no delivery uses it. Dropping the last reference waits for the client's threads, so it must not
/// happen on a thread of the async runtime.
fn drop_in_background(client: Arc<Client>, has_lost_all_brokers: bool) {
    let wait_and_drop = move || {
        while Arc::strong_count(&client) > 1 {
            std::thread::sleep(QUEUE_FULL_DELAY);
        }
    };
    if has_lost_all_brokers {
        // The thread of a broker that was given up may never end. The process does not wait for a plain thread.
        std::thread::spawn(wait_and_drop);
    } else {
        tokio::task::spawn_blocking(wait_and_drop);
    }
}

/// The result of one attempt to send records.
#[derive(Default)]
struct Attempt<'a> {
    failed: Vec<&'a Outgoing>,
    /// Why they failed; `None` if the queue was full and nothing else.
    error: Option<String>,
}

impl<'a> Attempt<'a> {
    fn fail(&mut self, out: &'a Outgoing, error: &KafkaError, explanation: String) {
        let code = error.rdkafka_error_code();
        let code = code.map_or_else(|| "other".to_owned(), |code| format!("{code:?}"));
        let metrics = metrics();
        metrics.produced(&out.topic, Status::Error).inc();
        metrics.producer_errors(&out.topic, &code).inc();
        self.failed.push(out);
        self.error = Some(explanation);
    }
}

fn record_of(out: &Outgoing, delivery: client::DeliverySender) -> client::Record<'_> {
    let headers = OwnedHeaders::new_with_capacity(4)
        .insert(header("trace_id", &out.key))
        .insert(header("content-type", "application/json"));
    let headers = with_trace(headers, &out.trace);
    let mut record = BaseRecord::with_opaque_to(&out.topic, delivery).payload(&out.value);
    record.key = Some(&out.key).filter(|key| !key.is_empty());
    record.headers(headers)
}

/// Adds the headers that continue the trace.
pub(crate) fn with_trace(headers: OwnedHeaders, trace: &TraceContext) -> OwnedHeaders {
    let headers = headers.insert(header(TRACEPARENT, &trace.parent()));
    match trace.state() {
        Some(state) => headers.insert(header(TRACESTATE, state)),
        None => headers,
    }
}

pub(crate) fn header<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key,
        value: Some(value),
    }
}
