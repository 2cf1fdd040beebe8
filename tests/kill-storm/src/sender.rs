//! Sends the events, spread over the storm, with somebody else's client. What fails is sent again: an upstream that
//! sends twice is part of the storm.

use std::thread;
use std::time::{Duration, Instant};

use xact_testkit::Result;
use xact_testkit::events::{Generated, RAW};
use xact_testkit::{failed, kcat};

/// Between two bundles: they are bursts, so that blows meet processes at work, and now and then idle ones.
const BETWEEN: Duration = Duration::from_secs(5);
/// Part of the storm over which events are sent.
const SHARE: f64 = 0.75;
/// How long a bundle is sent again until the run is given up: the broker is down for seconds only, but on a busy machine
/// it may take a minute to come back.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(1);
/// Partitions of the raw topic.
const PARTITIONS: u32 = 6;

/// Events that are sent together.
struct Bundle<'a> {
    at: Duration,
    partition: Option<u32>,
    events: Vec<&'a Generated>,
}

/// Sends all; returns when the broker has them.
///
/// # Errors
/// When the broker does not take them for long.
pub fn send(broker: &str, events: &[Generated], duration: Duration) -> Result<()> {
    let began = Instant::now();
    for bundle in bundles(events, duration) {
        thread::sleep(bundle.at.saturating_sub(began.elapsed()));
        let first = Instant::now();
        let send = || {
            let records = bundle.events.iter();
            let records = records.map(|event| (event.sent.trace_id.as_str(), event.sent.text.as_bytes()));
            kcat::produce_to(broker, RAW, bundle.partition, records)
        };
        while let Err(error) = send() {
            if first.elapsed() > PATIENCE {
                return Err(failed("the events cannot be sent", error.to_string()));
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// The events in bundles; what is sent again comes a bundle later, to some partition of its own.
fn bundles(events: &[Generated], duration: Duration) -> Vec<Bundle<'_>> {
    let count = duration.mul_f64(SHARE).div_duration_f64(BETWEEN).ceil() as usize;
    let size = events.len().div_ceil(count.max(1)).max(1);
    let step = duration.mul_f64(SHARE / events.len().div_ceil(size) as f64);
    let mut bundles = Vec::new();
    for (number, chunk) in events.chunks(size).enumerate() {
        let at = step * u32::try_from(number).unwrap_or(u32::MAX);
        bundles.push(Bundle {
            at,
            partition: None,
            events: chunk.iter().collect(),
        });
        bundles.push(Bundle {
            at: at + step,
            partition: Some(u32::try_from(number).unwrap_or_default() % PARTITIONS),
            events: chunk.iter().filter(|event| event.is_sent_again).collect(),
        });
    }
    bundles.retain(|bundle| !bundle.events.is_empty());
    bundles.sort_by_key(|bundle| bundle.at);
    bundles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_sent_and_some_twice_within_the_storm() {
        let events = xact_testkit::events::of_seed(5, 1000);
        let duration = Duration::from_secs(60);
        let bundles = bundles(&events, duration);
        let sent = |event: &Generated| {
            let is_it = |other: &&&Generated| other.sent.trace_id == event.sent.trace_id;
            bundles.iter().flat_map(|bundle| &bundle.events).filter(is_it).count()
        };
        for event in &events {
            assert_eq!(sent(event), if event.is_sent_again { 2 } else { 1 });
        }
        assert!(bundles.iter().all(|bundle| bundle.at < duration));
        assert!(bundles.len() > 10);
    }
}
