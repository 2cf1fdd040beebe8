//! The bare loops: one thread consumes the events and produces, acknowledged.
//!
//! - [`bytes`]: the bytes of each event
//! - [`tasks`]: its task, by the product's own rules: all that the stage must do, without waiting for the acknowledgements before
//!   a position is committed, and without duplicates, failures, traces and metrics

use rdkafka::message::{BorrowedMessage, Message as _};
use serde_json::Map;

use crate::kafka::{PARTITIONS, Sender, consume_and_produce};
use xact_contracts::blob_path::{PathParts, blob_paths};
use xact_contracts::messages::{DownloadTask, Event, Message as _, encode};
use xact_contracts::url_guard::{DEFAULT_ALLOWED_HOSTS, UrlPolicy};
use xact_contracts::{file_rules, ids};
use xact_testkit::events::RAW;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Kafka, Result, context};

const WHAT: &str = "the bare loop of events";

/// Figures of a loop.
pub(super) struct Raw {
    /// Events per second.
    pub(super) rate: f64,
    /// CPU seconds.
    pub(super) cpu: f64,
}

/// Produces the bytes of each event.
pub(super) fn bytes(kafka: &Kafka, events: u64) -> Result<Raw> {
    measure(kafka, events, "bare.bytes", |sender, topic, message, value| {
        sender.send(topic, message.key().unwrap_or_default(), value)
    })
}

/// Produces a task for each attachment of each event.
pub(super) fn tasks(kafka: &Kafka, events: u64) -> Result<Raw> {
    let policy = UrlPolicy::new(DEFAULT_ALLOWED_HOSTS);
    measure(kafka, events, "bare.tasks", |sender, topic, _, value| {
        let event = Event::decode(value).map_err(context(WHAT))?;
        for raw in &event.attachments {
            sender.send(topic, event.trace_id.as_bytes(), &encode(&task(&event, raw, &policy)?))?;
        }
        Ok(())
    })
}

fn task(event: &Event, raw: &str, policy: &UrlPolicy) -> Result<DownloadTask> {
    let url = policy.check(raw).map_err(context(WHAT))?;
    let media_id = ids::media_id(&event.trace_id, raw);
    let assignment_id = event.assignment_id.as_deref().unwrap_or_default();
    let parts = PathParts {
        status_subtype: &event.status_subtype,
        assignment_id,
        trace_id: &event.trace_id,
        estimate_version: event.estimate_version.as_deref(),
    };
    Ok(DownloadTask {
        trace_id: event.trace_id.clone(),
        media_id,
        attachment_url: raw.to_owned(),
        blob_path: blob_paths(&parts, &[(media_id, &url)]).concat(),
        status_subtype: event.status_subtype.clone(),
        file_type: file_rules::file_type_label(&url),
        assignment_id: assignment_id.to_owned(),
        estimate_version: event.estimate_version.clone(),
        retry_count: 0,
        event_type: "xact".to_owned(),
        event_subtype: event.event_subtype.clone(),
        original_timestamp: event.timestamp.unwrap_or_default(),
        metadata: Map::new(),
    })
}

fn measure(
    kafka: &Kafka,
    events: u64,
    topic: &str,
    mut send: impl FnMut(&Sender, &str, &BorrowedMessage<'_>, &[u8]) -> Result<()>,
) -> Result<Raw> {
    kafka.create_topic(topic, PARTITIONS.unsigned_abs())?;
    let before = cpu_seconds(std::process::id())?;
    let rate = consume_and_produce(kafka.bootstrap(), RAW, PARTITIONS, events, |sender, message, value| {
        send(sender, topic, message, value)
    })?;
    let cpu = cpu_seconds(std::process::id())? - before;
    Ok(Raw { rate, cpu })
}
