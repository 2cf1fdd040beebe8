//! Poison messages among good ones: one on which a handler panics, one of 1 MB, invalid UTF-8, a tombstone, extreme nesting. Each
//! ends as a dead letter with its original bytes and a line of the audit log; the others are processed at full speed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bad_messages::original;
use xact_testkit::events::{event, good_event, task};
use xact_testkit::{Fleet, Result, kcat};

/// A key and a value.
type Message = (String, Vec<u8>);

#[test]
fn a_message_on_which_a_handler_panics_is_one_dead_letter_and_blocks_no_other() -> Result<()> {
    let mut fleet = Fleet::shared("panic", &[])?;
    // The third message of this process panics, whichever it is; the process lives.
    let panics = "handle::download=2*off->1*panic(poisoned)->off";
    fleet.spawn("download", "download", &[("FAILPOINTS", panics)])?;
    fleet.wait_ready(&["download"])?;
    fleet.start(&["dlq"])?;
    let records = (0..10).map(|index| {
        let trace_id = format!("t-{index}");
        let url = format!("https://claimxperience.com/ok/3000/{index}/a.pdf");
        (trace_id.clone(), task(&trace_id, &url, &json!({})))
    });
    fleet.send_all("pending", records)?;
    fleet.wait_records("cached", 9)?;
    fleet.wait_records("dlq", 1)?;
    let letter = &fleet.messages("dlq")?[0];
    let error = letter["final_error"].as_str().unwrap();
    assert!(error.contains("the handler panicked on this message"), "{letter}");
    assert_eq!(letter["original_task"]["trace_id"], letter["trace_id"]);
    let cached = fleet.messages("cached")?;
    let all = cached.iter().chain([letter]);
    let all: BTreeSet<&str> = all.filter_map(|message| message["trace_id"].as_str()).collect();
    assert_eq!(all.len(), 10);
    assert_eq!(fleet["download"].get("/health/live")?.0, 200);
    fleet.wait_audit(1)
}

/// Returns a message of 1 MB, one that is not UTF-8, or one with extreme nesting.
fn poison(index: usize) -> Vec<u8> {
    match index % 4 {
        // Near the limit of the broker. (`large_messages.rs` tests messages that do not fit into a dead letter.)
        0 => vec![b'x'; 890_000],
        1 => b"\xff\xfe\x00 no text".to_vec(),
        2 => vec![b'['; 100_000],
        _ => format!("{{\"trace_id\":\"n\",\"payload\":{}", "{\"a\":".repeat(100_000)).into_bytes(),
    }
}

/// Whether every tenth message is bad.
#[derive(Clone, Copy, PartialEq)]
enum Mix {
    Good,
    Poisoned,
}

/// Sends `good` events, with bad ones among them if the mix has them, and waits until all good ones have their tasks. Returns
/// the time that this took, from the start of a process that finds them all.
fn expand(name: &str, good: usize, mix: Mix) -> Result<(Duration, Fleet, Vec<Message>)> {
    let mut fleet = Fleet::shared(name, &[])?;
    let event = |number: usize| {
        let trace_id = format!("t-{number}");
        (trace_id.clone(), good_event(&trace_id))
    };
    let sent: Vec<Message> = (0..good).map(event).collect();
    let mut bad = Vec::new();
    for (number, block) in sent.chunks(9).enumerate() {
        fleet.send_all("raw", block.iter().map(|(key, value)| (key, value)))?;
        if mix == Mix::Poisoned {
            // It shares a key, and so a partition, with the last one before it.
            let (key, value) = (block[block.len() - 1].0.clone(), poison(number));
            fleet.send("raw", &key, &value)?;
            bad.push((key, value));
        }
    }
    if mix == Mix::Poisoned {
        kcat::produce_tombstone(&fleet.broker, &fleet.topic("raw"), "tombstone")?;
        bad.push(("tombstone".to_owned(), Vec::new()));
    }
    fleet.start(&["event-ingester"])?;
    let begin = Instant::now();
    fleet["event-ingester"].wait_sum("kafka_event_tasks_produced_total", good as f64)?;
    Ok((begin.elapsed(), fleet, bad))
}

#[test]
fn bad_messages_do_not_slow_down_the_good_ones() -> Result<()> {
    let good = 180;
    let (without, _, _) = expand("pure", good, Mix::Good)?;
    let (with, mut fleet, bad) = expand("poisoned", good, Mix::Poisoned)?;
    println!("{good} events took {without:?} without, {with:?} with every tenth bad");
    // Twenty bad ones of up to 1 MB are read and kept as well; none is waited for, retried, or tried alone.
    let limit = without * 3 + Duration::from_secs(5);
    assert!(with < limit, "{without:?} became {with:?}");

    fleet.start(&["dlq", "event-writer"])?;
    fleet.wait_records("dlq", bad.len())?;
    fleet.wait_audit(bad.len())?;
    let letter = |record: &kcat::Record| {
        let letter = serde_json::from_slice(&record.value).unwrap();
        (record.key.clone(), original(&letter))
    };
    let mut kept: Vec<Message> = fleet.records("dlq")?.iter().map(letter).collect();
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
    // The other reader of the topic skips them: all good ones are rows.
    fleet["event-writer"].wait_sum("delta_events_written_total", good as f64)?;
    assert_eq!(fleet["event-ingester"].get("/health/ready")?.0, 200);
    Ok(())
}

#[test]
fn a_batch_handler_that_panics_keeps_all_other_records_of_the_batch() -> Result<()> {
    let mut fleet = Fleet::shared("batch-panic", &[])?;
    let records = (0..20).map(|index| ("t", event(&format!("t-{index}"), &json!([]))));
    fleet.send_all("raw", records)?;
    // The whole batch panics, then its first half, then the first half of that: the other parts are written.
    let panics = "handle::event-writer=3*panic(poisoned)->off";
    fleet.spawn("event-writer", "event-writer", &[("FAILPOINTS", panics)])?;
    fleet["event-writer"].wait_sum("delta_events_written_total", 20.0)?;
    assert_eq!(fleet.tables()?.events.len(), 20);
    Ok(())
}
