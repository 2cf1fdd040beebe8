//! The dead letters of skipped records.

use std::collections::HashSet;
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::parts::Part;
use super::request::SkipRequest;
use crate::blocking::blocking;
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, DeadLetterRecord, Problem, SourceRecord, encode};
use xact_kafka::Outgoing;
use xact_kafka::admin::{AdminError, TopicReader};
use xact_telemetry::trace_context::TraceContext;

/// The beginning of the error text of such a dead letter.
const SKIPPED: &str = "skipped by an operator: ";

/// The place of a record: topic, partition and offset.
pub(super) type Place = (String, i32, i64);

/// Returns the dead letter of a part.
pub(super) fn letter(request: &SkipRequest, stage: &str, part: &Part, now: Timestamp) -> DeadLetter {
    let source = |offset, timestamp| SourceRecord {
        topic: request.topic.clone(),
        partition: request.partition,
        offset,
        timestamp,
    };
    match part {
        Part::Record(record) => {
            let problem = Problem::new(Category::Permanent, format!("{SKIPPED}{}", request.reason));
            let payload = record.value.as_deref().unwrap_or_default();
            let trace_id = record.key_text().map(str::to_owned);
            let source = source(record.offset, record.timestamp);
            DeadLetter::of_payload(payload, trace_id, &problem, stage, source, now)
        }
        Part::Unreadable { from, to, reason } => {
            let last = to - 1;
            let text = format!(
                "{SKIPPED}{} (offsets {from} to {last} cannot be read: {reason})",
                request.reason
            );
            let problem = Problem::new(Category::Permanent, text);
            let letter = DeadLetter::of_payload(&[], None, &problem, stage, source(*from, None), now);
            // There is nothing to replay.
            DeadLetter {
                original_payload: None,
                ..letter
            }
        }
    }
}

/// Returns the message with a dead letter.
pub(super) fn outgoing(settings: &Settings, letter: &DeadLetter) -> Outgoing {
    Outgoing {
        topic: settings.topics.dlq.clone(),
        key: letter.trace_id.clone().unwrap_or_default(),
        value: encode(letter),
        trace: TraceContext::new(),
    }
}

/// Returns the place of a source.
pub(super) fn place(source: &SourceRecord) -> Place {
    (source.topic.clone(), source.partition, source.offset)
}

/// Returns the sources of the dead letters that earlier skips wrote for a stage.
pub(super) async fn written(settings: &Settings, stage: &'static str) -> Result<HashSet<Place>, AdminError> {
    let (cluster, topic) = (settings.internal_cluster.clone(), settings.topics.dlq.clone());
    blocking(move || {
        let mut known = HashSet::new();
        TopicReader::open(&cluster, &topic)?.read(|record| {
            if let Some(letter) = DeadLetterRecord::of_value(record.value).letter()
                && letter.stage == stage
                && letter.final_error.starts_with(SKIPPED)
            {
                known.insert(place(&letter.source));
            }
            ControlFlow::Continue(())
        })?;
        Ok(known)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_range_gives_a_letter_without_a_message() {
        let part = Part::Unreadable {
            from: 17,
            to: 22,
            reason: "Decompression failed".to_owned(),
        };
        let request = SkipRequest {
            group: "xact-event-writer".to_owned(),
            topic: "xact.events.raw".to_owned(),
            partition: 2,
            offset: 17,
            count: None,
            to: None,
            reason: "damaged on disk, ticket 7".to_owned(),
        };
        let now = "2025-01-01T00:00:00Z".parse().unwrap();
        let letter = letter(&request, "event-writer", &part, now);
        assert_eq!(
            letter.final_error,
            "skipped by an operator: damaged on disk, ticket 7 (offsets 17 to 21 cannot be read: Decompression failed)"
        );
        assert_eq!((letter.original_payload, letter.source.offset), (None, 17));
        assert_eq!(letter.error_category, Category::Permanent);
    }
}
