//! Sends events from a text to the raw topic.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::delivery::Delivery;
use crate::error::{OperationError, refuse};
use xact_config::Settings;
use xact_contracts::json::{self, Kind};
use xact_contracts::messages::{self, Message};
use xact_kafka::Outgoing;
use xact_telemetry::trace_context::TraceContext;

/// Maximum number of events in one text.
const MAX_EVENTS: usize = 1_000_000;

/// The answer of [`produce`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProduceAnswer {
    /// Events sent.
    pub events: usize,
    /// The topic.
    pub topic: String,
    /// The bootstrap servers of its cluster.
    pub bootstrap_servers: String,
}

/// Valid events, as they are written.
#[derive(Debug)]
pub struct Events(Vec<Event>);

/// The trace id and the bytes of an event.
type Event = (String, Vec<u8>);

impl Events {
    /// Reads one JSON object, a JSON list, or one object a line.
    ///
    /// # Errors
    /// When any event is not valid.
    pub fn parse(bytes: &[u8]) -> Result<Self, OperationError> {
        let text = json::as_written(bytes).map_err(|error| format!("cannot be read: {error}"))?;
        let invalid = |error| format!("invalid JSON: {error}");
        let mut values: Vec<&RawValue> = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
            let value = value.map_err(invalid)?;
            match Kind::of(value) {
                Kind::List => values.extend(serde_json::from_str::<Vec<&RawValue>>(value.get()).map_err(invalid)?),
                _ => values.push(value),
            }
            if values.len() > MAX_EVENTS {
                return refuse(format!("more than {MAX_EVENTS} events: split the file"));
            }
        }
        if values.is_empty() {
            return refuse("there is no event in it");
        }
        Ok(Self(values.into_iter().zip(1..).map(event).collect::<Result<_, _>>()?))
    }
}

fn event((value, number): (&RawValue, usize)) -> Result<Event, String> {
    let bytes = value.get().as_bytes().to_vec();
    let event = messages::Event::decode(&bytes).map_err(|error| format!("event {number}: {error}"))?;
    Ok((event.trace_id, bytes))
}

/// Sends events to the raw topic.
///
/// # Errors
/// When the broker does not acknowledge them.
pub async fn produce(settings: &Settings, events: Events) -> Result<ProduceAnswer, OperationError> {
    let outgoing = events.0.into_iter().map(|(trace_id, value)| Outgoing {
        topic: settings.topics.raw.clone(),
        key: trace_id,
        value,
        trace: TraceContext::new(),
    });
    let outgoing: Vec<Outgoing> = outgoing.collect();
    let cluster = settings.cluster_of_events();
    Delivery::new(cluster)?.send(&outgoing).await?;
    Ok(ProduceAnswer {
        events: outgoing.len(),
        topic: settings.topics.raw.clone(),
        bootstrap_servers: cluster.bootstrap_servers.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_a_list_or_lines_are_read() {
        let event = r#"{ "trace_id":123456789012345678901, "event_type":"x","cut":"\ud83d" }"#;
        for (text, count) in [
            (event.to_owned(), 1),
            (format!("[{event},{event}]"), 2),
            (format!("{event}\n{event}\n\n{event}\n"), 3),
        ] {
            let events = Events::parse(text.as_bytes()).unwrap().0;
            assert_eq!(events.len(), count, "{text}");
            assert!(events.iter().all(|(_, bytes)| bytes == event.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_invalid_event_is_refused_by_its_number() {
        let second: &[u8] = br#"{"trace_id":"t","event_type":"x"} {"event_type":"x"}"#;
        for (text, reason) in [(&b""[..], "no event"), (b"{", "invalid JSON"), (second, "event 2: ")] {
            let error = Events::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
