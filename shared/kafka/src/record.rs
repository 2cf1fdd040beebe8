//! A consumed record, owned, so that work on it can outlive the poll.

use std::sync::Arc;

use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers};

use xact_contracts::ids;
use xact_contracts::messages::SourceRecord;
use xact_telemetry::trace_context::TraceContext;

/// A consumed record.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Topic, shared between the records of a partition.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The broker's or the producer's timestamp.
    pub timestamp: Option<Timestamp>,
    /// The value; empty for a tombstone.
    pub payload: Vec<u8>,
    /// The key, if it is valid UTF-8.
    pub key: Option<String>,
    /// The trace that the record belongs to.
    pub trace: TraceContext,
}

/// Header with the W3C trace parent.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// Header with the W3C trace state.
pub(crate) const TRACESTATE: &str = "tracestate";

/// Reads the trace from a record's headers, which `header` looks up by name; `None` without valid headers.
pub fn trace_of_headers<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<TraceContext> {
    TraceContext::parse(header(TRACEPARENT)?, header(TRACESTATE))
}

/// Returns the trace that begins with a record: always the same one.
#[must_use]
pub fn trace_of_record(topic: &str, partition: i32, offset: i64) -> TraceContext {
    let id = ids::trace_of_record(topic, partition, offset);
    #[expect(clippy::cast_possible_truncation, reason = "any part of it is an id")]
    let span = id as u64;
    TraceContext::of_span(id, span)
}

/// Returns the broker's or the producer's timestamp.
pub(crate) fn written_at(message: &BorrowedMessage<'_>) -> Option<Timestamp> {
    Timestamp::from_millisecond(message.timestamp().to_millis()?).ok()
}

impl Record {
    /// Copies a polled message.
    pub fn of_message(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Self {
        let header = |name: &str| {
            let header = message.headers()?.iter().find(|header| header.key == name)?;
            std::str::from_utf8(header.value?).ok()
        };
        let (partition, offset) = (message.partition(), message.offset());
        Self {
            trace: trace_of_headers(header).unwrap_or_else(|| trace_of_record(&topic, partition, offset)),
            topic,
            partition,
            offset,
            timestamp: written_at(message),
            payload: message.payload().unwrap_or_default().to_vec(),
            key: message.key().and_then(|key| String::from_utf8(key.to_vec()).ok()),
        }
    }

    /// Returns where the record was read, for a dead letter.
    #[must_use]
    pub fn source(&self) -> SourceRecord {
        SourceRecord {
            topic: self.topic.to_string(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
        }
    }
}
