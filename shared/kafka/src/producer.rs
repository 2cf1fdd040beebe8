//! Sending: batched, pipelined, idempotent, and not over before the broker has acknowledged.

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
use crate::connection::{Right, Rights};
use crate::connection_error::is_authorization;
use crate::record::{TRACEPARENT, TRACESTATE};
use client::Client;
use xact_config::{ClusterSettings, Security};
use xact_telemetry::health::{Health, Waiting};
use xact_telemetry::metrics::{Status, metrics};
use xact_telemetry::trace_context::TraceContext;

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
    client: RwLock<Arc<Client>>,
    cluster: ClusterSettings,
    /// By topic: whether we are let in to write to it.
    rights: Mutex<HashMap<String, Arc<Rights>>>,
    health: Health,
    component: &'static str,
}

/// Longest wait for room in librdkafka's queue before trying again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(20);

/// Acknowledgements that take longer are shown in readiness: librdkafka itself tries for two minutes before it says so.
const SLOW: Duration = Duration::from_secs(10);

impl Producer {
    /// Makes the client; it connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(cluster: &ClusterSettings, health: Health, component: &'static str) -> Result<Arc<Self>, ProducerError> {
        Ok(Arc::new(Self {
            client: RwLock::new(Client::new(cluster)?),
            cluster: cluster.clone(),
            rights: Mutex::default(),
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
            let Attempt { failed, trouble } = self.patient_attempt(&left, &mut waiting).await;
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

    /// One attempt, which says what it waits for when it takes long.
    async fn patient_attempt<'a>(&self, outgoing: &[&'a Outgoing], waiting: &mut Option<Waiting>) -> Attempt<'a> {
        let client = self.unbroken_client();
        let mut attempt = pin!(self.attempt(&client, outgoing));
        loop {
            tokio::select! {
                attempt = &mut attempt => return attempt,
                () = tokio::time::sleep(SLOW) => {
                    if client.connection.is_stranded() {
                        // What waits in it fails now, and is sent again by another one.
                        client.purge();
                    }
                    let reason = self.slow(&client, outgoing);
                    *waiting = Some(self.health.wait_for(self.component, reason));
                }
            }
        }
    }

    fn slow(&self, client: &Client, outgoing: &[&Outgoing]) -> String {
        let waits = "; records wait for their acknowledgement and are sent again until it comes";
        match (client.connection.trouble(), outgoing.first()) {
            (Some(trouble), _) => format!("{trouble}{waits}"),
            (None, out) => format!(
                "{}: no acknowledgement for {} within {} s{waits}",
                self.cluster.bootstrap_servers,
                out.map_or("", |out| &out.topic),
                SLOW.as_secs(),
            ),
        }
    }

    /// One attempt at sending all.
    async fn attempt<'a>(&self, client: &Arc<Client>, outgoing: &[&'a Outgoing]) -> Attempt<'a> {
        let mut sent = Vec::with_capacity(outgoing.len());
        let mut attempt = Attempt::default();
        let mut has_timed_out = false;
        for &out in outgoing {
            match client.send(|answer| record_of(out, answer)) {
                Ok(answer) => sent.push((out, answer)),
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => attempt.failed.push(out),
                Err(error) => attempt.fail(out, &error, self.explain(client, out, &error)),
            }
        }
        for (out, answer) in sent {
            match answer.await {
                Ok(Ok(())) => self.count_delivered(out),
                Ok(Err(error)) => {
                    has_timed_out |= error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut);
                    attempt.fail(out, &error, self.explain(client, out, &error));
                }
                Err(_) => attempt.failed.push(out),
            }
        }
        if attempt.trouble.is_some() {
            self.replace_if_broken(client, has_timed_out);
        }
        attempt
    }

    fn count_delivered(&self, out: &Outgoing) {
        let metrics = metrics();
        metrics.produced(&out.topic, Status::Success).inc();
        metrics.produced_bytes(&out.topic).inc_by(out.value.len() as u64);
        if matches!(self.cluster.security, Security::Identity(_)) {
            self.rights(&out.topic).granted();
        }
    }

    /// What an error means, and what to do about it.
    fn explain(&self, client: &Client, out: &Outgoing, error: &KafkaError) -> String {
        let fatal = client.fatal_error().map(|(code, _)| code);
        let refused = [error.rdkafka_error_code(), fatal].into_iter().flatten();
        if refused.into_iter().any(is_authorization) {
            return self.rights(&out.topic).refused(client.connection.principal(), error);
        }
        let trouble = match client.connection.trouble() {
            Some(trouble) => trouble.to_string(),
            None => error.to_string(),
        };
        format!(
            "the broker did not take a record for {}: {trouble}; it is sent again until it does",
            out.topic
        )
    }

    fn rights(&self, topic: &str) -> Arc<Rights> {
        let mut rights = self.rights.lock();
        if let Some(known) = rights.get(topic) {
            return Arc::clone(known);
        }
        let new = Arc::new(Rights::new(Right::Send, &[topic], &self.cluster));
        rights.insert(topic.to_owned(), Arc::clone(&new));
        new
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read())
    }

    /// The client, or a new one if it is known to lead nowhere.
    fn unbroken_client(&self) -> Arc<Client> {
        let client = self.client();
        if !client.connection.is_stranded() {
            return client;
        }
        self.replace_if_broken(&client, false);
        self.client()
    }

    /// An idempotent producer may end for good, or be stranded; a new one starts with a new id. One whose records timed out
    /// is not trusted either: after long outages some of them wait for ever for what was in flight, though the broker is
    /// back. Only the first who notices makes the new one.
    fn replace_if_broken(&self, failed: &Arc<Client>, has_timed_out: bool) {
        let fatal = failed.fatal_error();
        let is_stranded = failed.connection.is_stranded();
        if fatal.is_none() && !has_timed_out && !is_stranded {
            return;
        }
        let mut current = self.client.write();
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        match fatal {
            // Whoever is not let in is told so in readiness, and not at each attempt.
            Some((code, reason)) if is_authorization(code) => tracing::debug!(?code, reason, "making a new producer"),
            Some((code, reason)) => tracing::warn!(
                ?code,
                reason,
                "the idempotent producer is beyond repair: making a new one"
            ),
            None if is_stranded => tracing::info!("the cluster named no broker for a moment: making a new producer"),
            None => tracing::info!("records timed out: making a new producer"),
        }
        match Client::new(&self.cluster) {
            Ok(new) => {
                let old = std::mem::replace(&mut *current, new);
                drop(current);
                // Whoever drops it last waits for its threads: not one of ours.
                let wait_and_drop = move || {
                    while Arc::strong_count(&old) > 1 {
                        std::thread::sleep(QUEUE_FULL_WAIT);
                    }
                };
                if is_stranded {
                    // The thread of a broker that was given up may never end: then the process ends without it.
                    std::thread::spawn(wait_and_drop);
                } else {
                    tokio::task::spawn_blocking(wait_and_drop);
                }
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
    fn fail(&mut self, out: &'a Outgoing, error: &KafkaError, trouble: String) {
        let code = error
            .rdkafka_error_code()
            .map_or_else(|| "other".to_owned(), |code| format!("{code:?}"));
        let metrics = metrics();
        metrics.produced(&out.topic, Status::Error).inc();
        metrics.producer_errors(&out.topic, &code).inc();
        self.failed.push(out);
        self.trouble = Some(trouble);
    }
}

fn record_of(out: &Outgoing, answer: client::Answer) -> client::Record<'_> {
    let parent = out.trace.to_string();
    let mut headers = OwnedHeaders::new_with_capacity(4)
        .insert(header("trace_id", &out.key))
        .insert(header("content-type", "application/json"))
        .insert(header(TRACEPARENT, &parent));
    if let Some(state) = out.trace.state() {
        headers = headers.insert(header(TRACESTATE, state));
    }
    let record = BaseRecord::with_opaque_to(&out.topic, answer)
        .payload(&out.value)
        .headers(headers);
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
