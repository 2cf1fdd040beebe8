//! Sends the events, spread over the storm, with an independent client (kcat). A failed send is repeated: an upstream that
//! sends twice is part of the storm.

use std::thread;
use std::time::{Duration, Instant};

use xact_testkit::Result;
use xact_testkit::events::{Generated, RAW};
use xact_testkit::{failed, kcat};

/// Time between two batches. Events come in bursts, so that faults hit busy processes and sometimes idle ones.
const BATCH_INTERVAL: Duration = Duration::from_secs(5);
/// Fraction of the storm over which events are sent.
const SENDING_FRACTION: f64 = 0.75;
/// Time after which a batch that cannot be sent fails the run. The broker is down for seconds only, but on a busy machine it
/// may take a minute to start.
const SEND_TIMEOUT: Duration = Duration::from_secs(180);
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Partitions of the raw topic.
const PARTITIONS: u32 = 6;

/// Events that are sent together.
struct Batch<'a> {
    at: Duration,
    partition: Option<u32>,
    events: Vec<&'a Generated>,
}

/// Sends all events and returns when the broker has acknowledged them.
pub fn send(broker: &str, events: &[Generated], duration: Duration) -> Result<()> {
    let began = Instant::now();
    for batch in batchs(events, duration) {
        thread::sleep(batch.at.saturating_sub(began.elapsed()));
        let first = Instant::now();
        let send = || {
            let records = batch.events.iter();
            let records = records.map(|event| (event.sent.trace_id.as_str(), event.sent.text.as_bytes()));
            kcat::produce_to(broker, RAW, batch.partition, records)
        };
        while let Err(error) = send() {
            if first.elapsed() > SEND_TIMEOUT {
                return Err(failed("the events cannot be sent", error.to_string()));
            }
            thread::sleep(RETRY_DELAY);
        }
    }
    Ok(())
}

/// Groups the events into batches. Events that are sent twice come again one batch later, to another partition.
fn batchs(events: &[Generated], duration: Duration) -> Vec<Batch<'_>> {
    let count = duration
        .mul_f64(SENDING_FRACTION)
        .div_duration_f64(BATCH_INTERVAL)
        .ceil() as usize;
    let size = events.len().div_ceil(count.max(1)).max(1);
    let step = duration.mul_f64(SENDING_FRACTION / events.len().div_ceil(size) as f64);
    let mut batchs = Vec::new();
    for (number, chunk) in events.chunks(size).enumerate() {
        let at = step * u32::try_from(number).unwrap_or(u32::MAX);
        batchs.push(Batch {
            at,
            partition: None,
            events: chunk.iter().collect(),
        });
        batchs.push(Batch {
            at: at + step,
            partition: Some(u32::try_from(number).unwrap_or_default() % PARTITIONS),
            events: chunk.iter().filter(|event| event.is_sent_again).collect(),
        });
    }
    batchs.retain(|batch| !batch.events.is_empty());
    batchs.sort_by_key(|batch| batch.at);
    batchs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_sent_and_some_twice_within_the_storm() {
        let events = xact_testkit::events::of_seed(5, 1000);
        let duration = Duration::from_secs(60);
        let batchs = batchs(&events, duration);
        let sent = |event: &Generated| {
            let is_it = |other: &&&Generated| other.sent.trace_id == event.sent.trace_id;
            batchs.iter().flat_map(|batch| &batch.events).filter(is_it).count()
        };
        for event in &events {
            assert_eq!(sent(event), if event.is_sent_again { 2 } else { 1 });
        }
        assert!(batchs.iter().all(|batch| batch.at < duration));
        assert!(batchs.len() > 10);
    }
}
