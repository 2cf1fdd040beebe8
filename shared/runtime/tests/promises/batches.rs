//! What the runtime promises batch handlers.

use crate::bench::{Bench, Gate};
use contracts::messages::Event;
use contracts::topology::Stage;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xact_runtime::{AssignError, Assigned, Batch, BatchHandler, BatchService, Context, Refused, Unavailable};

const RAW: &str = "xact.events.raw";

/// One batch as the handler saw it.
#[derive(Debug, Clone)]
struct Seen {
    ids: Vec<String>,
    positions: BTreeMap<String, i64>,
}

#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
    assigned: Arc<Mutex<Vec<Assigned>>>,
    gate: Gate,
    /// As a table would, refuse to start while this says so.
    refuse: Arc<Mutex<Option<String>>>,
}

impl Recorder {
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .seen
            .lock()
            .unwrap()
            .iter()
            .flat_map(|seen| seen.ids.clone())
            .collect();
        ids.sort();
        ids
    }
}

impl BatchHandler for Recorder {
    type Input = Event;

    async fn assigned(&self, partitions: &[Assigned]) -> Result<(), AssignError> {
        if let Some(reason) = self.refuse.lock().unwrap().clone() {
            return Err(AssignError::Refused(reason));
        }
        self.assigned.lock().unwrap().extend_from_slice(partitions);
        Ok(())
    }

    async fn handle(&self, batch: &Batch<'_, Event>, _: &Context) -> Result<Vec<Refused>, Unavailable> {
        let ids: Vec<String> = batch
            .records
            .iter()
            .map(|record| record.input.trace_id.clone())
            .collect();
        assert!(!ids.iter().any(|id| id.starts_with("panic")), "told to");
        if ids.iter().any(|id| id.starts_with("unavailable")) && !self.gate.is_open() {
            return Err(Unavailable::new("delta", "told to"));
        }
        self.seen.lock().unwrap().push(Seen {
            ids,
            positions: batch.positions.clone(),
        });
        Ok(Vec::new())
    }
}

fn event(id: &str) -> String {
    format!(r#"{{"trace_id":"{id}","event_type":"x"}}"#)
}

async fn start(recorder: &Recorder) -> Bench {
    let recorder = recorder.clone();
    Bench::start(
        Stage::EventWriter,
        Arc::new(move |settings| {
            Ok(BatchService::new(
                Stage::EventWriter,
                recorder.clone(),
                settings.event_batch,
            ))
        }),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_its_positions_and_unreadable_records_move_them() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    assert_eq!(recorder.assigned.lock().unwrap().len(), 6);
    bench.send_bytes(RAW, 2, event("a").as_bytes()).await;
    bench.send_bytes(RAW, 2, b"{").await;
    bench.wait_committed(RAW, 2, 2).await;
    assert_eq!(recorder.ids(), ["a"]);
    let last = recorder.seen.lock().unwrap().last().unwrap().clone();
    if last.ids == ["a"] {
        assert!(last.positions["xact-event-writer:xact.events.raw:2"] >= 1);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_record_and_not_its_batch() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    for number in 0..40 {
        let id = if number % 10 == 3 {
            format!("panic-{number}")
        } else {
            format!("good-{number:02}")
        };
        bench.send_bytes(RAW, 0, event(&id).as_bytes()).await;
    }
    bench.wait_committed(RAW, 0, 40).await;
    let expected: Vec<String> = (0..40)
        .filter(|number| number % 10 != 3)
        .map(|number| format!("good-{number:02}"))
        .collect();
    assert_eq!(recorder.ids(), expected, "each good one exactly once");
    // Positions never go back: a table would take the later records for known.
    let positions: Vec<i64> = recorder
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter_map(|seen| seen.positions.get("xact-event-writer:xact.events.raw:0").copied())
        .collect();
    assert!(positions.is_sorted(), "{positions:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_its_table_and_is_written_once() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    bench.send_bytes(RAW, 0, event("unavailable").as_bytes()).await;
    bench.wait_not_ready("delta: told to").await;
    assert_eq!(bench.committed(RAW, 0).await, Some(0));
    recorder.gate.open();
    bench.wait_committed(RAW, 0, 1).await;
    assert_eq!(recorder.ids(), ["unavailable"]);
    bench.wait_ready().await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_assignment_restarts_the_worker_until_it_is_mended() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await.stop().await;
    bench.send_bytes(RAW, 0, event("a").as_bytes()).await;
    *recorder.refuse.lock().unwrap() = Some("the topic was recreated".to_owned());
    let bench = bench.restart().await;
    bench.wait_not_ready("the topic was recreated").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(recorder.ids(), Vec::<String>::new(), "nothing is read before that");
    *recorder.refuse.lock().unwrap() = None;
    bench.wait_committed(RAW, 0, 1).await;
    assert_eq!(recorder.ids(), ["a"]);
    bench.stop().await;
}
