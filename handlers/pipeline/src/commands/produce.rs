//! `produce`: events from a file onto the raw topic.

use std::io::Read;

use serde_json::value::RawValue;

use crate::outcome::{CommandResult, ExitStatus};
use xact_config::{Environment, Settings};
use xact_contracts::json::{self, Kind};
use xact_contracts::messages::{Event, Message};
use xact_kafka::producer::Outgoing;
use xact_operations::delivery::Delivery;
use xact_telemetry::trace_context::TraceContext;

/// Sends every event of the source.
#[allow(clippy::print_stdout)]
pub(crate) async fn run(environment: &Environment, source: &str) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let text = read(source)?;
    let events = events(&text).map_err(|error| format!("{source}: {error}"))?;
    let outgoing: Vec<Outgoing> = events
        .into_iter()
        .map(|(trace_id, value)| Outgoing {
            topic: settings.topics.raw.clone(),
            key: trace_id,
            value,
            trace: TraceContext::new(),
        })
        .collect();
    Delivery::new(settings.cluster_of_events())?.send(&outgoing).await?;
    println!(
        "{} sent to {} at {}",
        plural(outgoing.len()),
        settings.topics.raw,
        settings.cluster_of_events().bootstrap_servers
    );
    Ok(ExitStatus::Ok)
}

fn plural(count: usize) -> String {
    if count == 1 {
        "1 event".to_owned()
    } else {
        format!("{count} events")
    }
}

fn read(source: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = match source {
        "-" => std::io::stdin().read_to_end(&mut bytes).map(|_| ()),
        path => std::fs::read(path).map(|content| bytes = content),
    };
    read.map_err(|error| format!("{source} cannot be read: {error}"))?;
    let text = json::as_written(&bytes).map_err(|error| format!("{source} cannot be read: {error}"))?;
    Ok(text.to_owned())
}

/// Returns trace id and bytes of each event, as they are written. Only readable ones: whoever sends by hand wants to know at
/// once.
fn events(text: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut events = Vec::new();
    for (number, value) in serde_json::Deserializer::from_str(text)
        .into_iter::<&RawValue>()
        .enumerate()
    {
        let value = value.map_err(|error| format!("no JSON: {error}"))?;
        match Kind::of(value) {
            Kind::List => {
                let list: Vec<&RawValue> =
                    serde_json::from_str(value.get()).map_err(|error| format!("no JSON: {error}"))?;
                events.extend(list);
            }
            _ => events.push(value),
        }
        if events.len() > 1_000_000 {
            return Err(format!(
                "too many events at once (more than a million, at value {number}): split the file"
            ));
        }
    }
    if events.is_empty() {
        return Err("there is no event in it".to_owned());
    }
    events
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            let bytes = value.get().as_bytes().to_vec();
            let event = Event::decode(&bytes).map_err(|error| format!("event {}: {error}", index + 1))?;
            Ok((event.trace_id, bytes))
        })
        .collect()
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
            let events = events(&text).unwrap();
            assert_eq!(events.len(), count, "{text}");
            assert!(events.iter().all(|(_, bytes)| bytes == event.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_by_its_number() {
        assert!(events("").unwrap_err().contains("no event"));
        assert!(events("{").unwrap_err().contains("no JSON"));
        assert!(
            events(r#"{"trace_id":"t","event_type":"x"} {"event_type":"x"}"#)
                .unwrap_err()
                .starts_with("event 2: ")
        );
    }
}
