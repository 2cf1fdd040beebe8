//! Poison messages among good ones: one on which a handler panics, one of 1 MB, invalid UTF-8, a tombstone, extreme nesting. Each
//! ends as a dead letter with its original bytes and a line of the audit log; the others are processed at full speed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bad_messages::original;
use xact_testkit::events::{event, good_event, task};
use xact_testkit::{Fleet, kcat};
use xact_testkit::{Kafka, Result, wait_until};

const SOON: Duration = Duration::from_secs(120);

/// A key and a value.
type Message = (String, Vec<u8>);

#[test]
fn a_message_on_which_a_handler_panics_is_one_dead_letter_and_blocks_no_other() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "panic", &[])?;
    fleet.create_topics()?;
    // The third message of this process panics, whichever it is; the process lives.
    fleet.spawn(
        "download",
        "download",
        &[("FAILPOINTS", "handle::download=2*off->1*panic(poisoned)->off")],
    )?;
    fleet["download"].wait_ready()?;
    fleet.start(&["dlq"])?;
    let records: Vec<Message> = (0..10)
        .map(|index| {
            let trace_id = format!("t-{index}");
            let url = format!("https://claimxperience.com/ok/3000/{index}/a.pdf");
            (trace_id.clone(), task(&trace_id, &url, &json!({})))
        })
        .collect();
    kcat::produce_all(&fleet.broker, &fleet.topic("pending"), &records)?;
    wait_until(SOON, "nine files are cached and one is a dead letter", || {
        let (cached, letters) = (fleet.records("cached").ok()?.len(), fleet.records("dlq").ok()?.len());
        (cached == 9 && letters == 1).then_some(())
    })
    .map_err(|error| fleet["download"].process.error(&error.to_string()))?;
    let letter = &fleet.messages("dlq")?[0];
    assert!(
        letter["final_error"]
            .as_str()
            .unwrap()
            .contains("the handler panicked on this message"),
        "{letter}"
    );
    assert_eq!(letter["original_task"]["trace_id"], letter["trace_id"]);
    let cached = fleet.messages("cached")?;
    let all: BTreeSet<&str> = cached
        .iter()
        .chain([letter])
        .filter_map(|message| message["trace_id"].as_str())
        .collect();
    assert_eq!(all.len(), 10);
    assert_eq!(fleet["download"].get("/health/live")?.0, 200);
    wait_until(SOON, "the audit log has it", || {
        (fleet.audit().ok()?.len() == 1).then_some(())
    })
}

/// Messages of 1 MB, of no UTF-8, without a value, and nested beyond sense.
fn poison(index: usize) -> Vec<u8> {
    match index % 4 {
        // Near the most that a broker takes. (Of what leaves a dead letter no room: `large_messages.rs`.)
        0 => vec![b'x'; 890_000],
        1 => b"\xff\xfe\x00 no text".to_vec(),
        2 => vec![b'['; 100_000],
        _ => format!("{{\"trace_id\":\"n\",\"payload\":{}", "{\"a\":".repeat(100_000)).into_bytes(),
    }
}

/// Sends `good` events, of which every tenth is followed by poison if so, and waits until all have their tasks. How long
/// that took, from the start of a process that finds them all there.
fn expand(name: &str, good: usize, poisoned: bool) -> Result<(Duration, Fleet, Vec<Message>)> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), name, &[])?;
    fleet.create_topics()?;
    let mut sent = Vec::new();
    for block in 0..good / 9 {
        let records: Vec<Message> = (0..9)
            .map(|index| {
                let trace_id = format!("t-{block}-{index}");
                (trace_id.clone(), good_event(&trace_id))
            })
            .collect();
        sent.extend(records);
    }
    let mut bad = Vec::new();
    if poisoned {
        // Blocks of nine good ones and a bad one, which shares a key, and so a partition, with the last of them.
        let mut goods = sent.chunks(9);
        for block in 0..good / 9 {
            let part = goods.next().unwrap();
            kcat::produce_all(&fleet.broker, &fleet.topic("raw"), part)?;
            let (key, value) = (part[8].0.clone(), poison(block));
            fleet.send("raw", &key, &value)?;
            bad.push((key, value));
        }
        kcat::produce_tombstone(&fleet.broker, &fleet.topic("raw"), "tombstone")?;
        bad.push(("tombstone".to_owned(), Vec::new()));
    } else {
        kcat::produce_all(&fleet.broker, &fleet.topic("raw"), &sent)?;
    }
    fleet.start(&["event-ingester"])?;
    let begin = Instant::now();
    wait_until(SOON, "every good event has its task", || {
        let made = fleet["event-ingester"]
            .metrics()
            .ok()?
            .sum("kafka_event_tasks_produced_total", &[]);
        (made == sent.len() as f64).then_some(())
    })
    .map_err(|error| fleet["event-ingester"].process.error(&error.to_string()))?;
    Ok((begin.elapsed(), fleet, bad))
}

#[test]
fn bad_messages_do_not_slow_down_the_good_ones() -> Result<()> {
    let good = 180;
    let (without, _, _) = expand("pure", good, false)?;
    let (with, mut fleet, bad) = expand("poisoned", good, true)?;
    println!("{good} events took {without:?} without, {with:?} with every tenth bad");
    // Twenty bad ones of up to 1 MB are read and kept as well; none is waited for, retried, or tried alone.
    assert!(
        with < without * 3 + Duration::from_secs(5),
        "{without:?} became {with:?}"
    );

    fleet.start(&["dlq", "event-writer"])?;
    wait_until(
        SOON,
        "each bad one is a dead letter and a line of the audit log",
        || (fleet.records("dlq").ok()?.len() == bad.len() && fleet.audit().ok()?.len() == bad.len()).then_some(()),
    )
    .map_err(|error| fleet["event-ingester"].process.error(&error.to_string()))?;
    let mut kept: Vec<Message> = fleet
        .records("dlq")?
        .iter()
        .map(|record| {
            let letter = serde_json::from_slice(&record.value).unwrap();
            (record.key.clone(), original(&letter))
        })
        .collect();
    let mut expected = bad;
    kept.sort();
    expected.sort();
    for ((kept_key, kept), (key, value)) in kept.iter().zip(&expected) {
        assert_eq!(kept_key, key);
        assert!(
            kept == value,
            "{key}: {} bytes were sent, {} are kept",
            value.len(),
            kept.len()
        );
    }
    // The other reader of the topic passes them by: all good ones are rows.
    wait_until(SOON, "all good events are rows", || {
        let rows = fleet["event-writer"]
            .metrics()
            .ok()?
            .sum("delta_events_written_total", &[]);
        (rows == good as f64).then_some(())
    })
    .map_err(|error| fleet["event-writer"].process.error(&error.to_string()))?;
    assert_eq!(fleet["event-ingester"].get("/health/ready")?.0, 200);
    Ok(())
}

#[test]
fn a_batch_handler_that_panics_keeps_all_other_records_of_the_batch() -> Result<()> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), "batch-panic", &[])?;
    fleet.create_topics()?;
    let records: Vec<Message> = (0..20)
        .map(|index| ("t".to_owned(), event(&format!("t-{index}"), &json!([]))))
        .collect();
    kcat::produce_all(&fleet.broker, &fleet.topic("raw"), &records)?;
    // The whole batch panics, then its first half, then the first half of that: the other parts are written.
    fleet.spawn(
        "event-writer",
        "event-writer",
        &[("FAILPOINTS", "handle::event-writer=3*panic(poisoned)->off")],
    )?;
    wait_until(SOON, "all are rows", || {
        let rows = fleet["event-writer"]
            .metrics()
            .ok()?
            .sum("delta_events_written_total", &[]);
        (rows == 20.0).then_some(())
    })
    .map_err(|error| fleet["event-writer"].process.error(&error.to_string()))?;
    assert_eq!(fleet.tables()?.events.len(), 20);
    Ok(())
}
