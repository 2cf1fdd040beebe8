//! What the runtime promises batch handlers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::bench::{Bench, Gate, wait_for};
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::messages::Event;
use xact_contracts::topology::Stage;
use xact_runtime::{
    AssignError, Assigned, Batch, BatchHandler, CommitMetadata, Context, Refused, Service, Starts, TablePositions,
    Unavailable,
};

const RAW: &str = "xact.events.raw";
const APP: &str = "xact-event-writer:xact.events.raw:0";

/// The ids and the positions of a batch.
type Recorded = (Vec<String>, BTreeMap<AppId, i64>);

#[derive(Clone, Default)]
struct Recorder {
    batches: Arc<Mutex<Vec<Recorded>>>,
    assigned: Arc<Mutex<Vec<Assigned>>>,
    gate: Gate,
    /// Refuses to start, for this reason.
    refuse: Arc<Mutex<Option<String>>>,
    /// Where to start, as a table that is behind the group requires.
    starts: Arc<Mutex<Starts>>,
    /// The positions of the stage's tables.
    tables: Arc<Mutex<TablePositions>>,
}

impl Recorder {
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.batches.lock().iter().flat_map(|(ids, _)| ids.clone()).collect();
        ids.sort();
        ids
    }

    /// The positions of partition 0 that the handler was given.
    fn positions(&self) -> Vec<i64> {
        let batches = self.batches.lock();
        batches
            .iter()
            .filter_map(|(_, positions)| positions.get(APP).copied())
            .collect()
    }

    /// How partition 0 was assigned first.
    fn first_assigned(&self) -> Assigned {
        let assigned = self.assigned.lock();
        assigned
            .iter()
            .find(|assigned| assigned.app_id.as_str() == APP)
            .unwrap()
            .clone()
    }
}

impl BatchHandler for Recorder {
    const STAGE: Stage = Stage::EventWriter;

    type Input = Event;

    async fn assigned(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        if let Some(reason) = self.refuse.lock().clone() {
            return Err(AssignError::Refused(reason));
        }
        self.assigned.lock().extend_from_slice(partitions);
        Ok(self.starts.lock().clone())
    }

    fn table_positions(&self, _: &AppId) -> TablePositions {
        self.tables.lock().clone()
    }

    async fn handle(&self, batch: &Batch<'_, Event>, _: &Context) -> Result<Vec<Refused>, Unavailable> {
        let ids: Vec<String> = batch
            .records
            .iter()
            .map(|record| record.input.trace_id.clone())
            .collect();
        assert!(!ids.iter().any(|id| id.starts_with("panic")), "told to");
        if ids.iter().any(|id| id.starts_with("unavailable")) && !self.gate.is_cancelled() {
            return Err(Unavailable::new("delta", "told to"));
        }
        self.batches.lock().push((ids, batch.positions.clone()));
        Ok(Vec::new())
    }
}

async fn start(recorder: &Recorder) -> Bench {
    let recorder = recorder.clone();
    let factory = Arc::new(move |settings: &Settings| Ok(Service::batch(recorder.clone(), settings.event_batch)));
    Bench::start(Stage::EventWriter, factory).await
}

async fn send(bench: &Bench, id: &str) {
    let event = format!(r#"{{"trace_id":"{id}","event_type":"x"}}"#);
    bench.send_bytes(RAW, 0, event.as_bytes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_its_positions_and_unreadable_records_move_them() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    assert_eq!(recorder.assigned.lock().len(), 6);
    // An unreadable one alone in its batch as well.
    bench.send_bytes(RAW, 0, b"{").await;
    bench.wait_committed(RAW, 0, 1).await;
    assert_eq!(recorder.positions(), [1]);
    send(&bench, "a").await;
    bench.send_bytes(RAW, 0, b"{").await;
    bench.wait_committed(RAW, 0, 3).await;
    assert_eq!(recorder.ids(), ["a"]);
    assert_eq!(recorder.positions().last(), Some(&3));
    send(&bench, "panic").await;
    bench.wait_committed(RAW, 0, 4).await;
    let last = recorder.positions().last().copied();
    assert_eq!(
        last,
        Some(3),
        "a record that was given up has no row to move a table's position"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_positions_of_the_tables_are_committed_with_the_offset() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    send(&bench, "a").await;
    send(&bench, "b").await;
    bench.wait_committed(RAW, 0, 2).await;
    // An unreadable record is passed without a row, so the table's position stays before the committed offset.
    bench.send_bytes(RAW, 0, b"{").await;
    let tables = TablePositions::from([("xact_events".to_owned(), Some(2))]);
    recorder.tables.lock().clone_from(&tables);
    bench.send_bytes(RAW, 0, b"{").await;
    bench.wait_committed(RAW, 0, 4).await;
    let bench = bench.stop().await;
    recorder.assigned.lock().clear();
    let bench = bench.restart().await;
    send(&bench, "c").await;
    bench.wait_committed(RAW, 0, 5).await;
    assert_eq!(recorder.first_assigned().metadata, Some(CommitMetadata::Tables(tables)));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_whose_table_is_behind_starts_at_its_position() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    for id in ["a", "b", "c"] {
        send(&bench, id).await;
    }
    bench.wait_committed(RAW, 0, 3).await;
    let bench = bench.stop().await;
    recorder.batches.lock().clear();
    recorder.assigned.lock().clear();
    *recorder.starts.lock() = Starts::from([(APP.into(), 1)]);
    let bench = bench.restart().await;
    let read_again = async || recorder.ids();
    wait_for("the records after the table's position", read_again, |ids| {
        ids.len() >= 2
    })
    .await;
    bench.wait_committed(RAW, 0, 3).await;
    assert_eq!(recorder.ids(), ["b", "c"]);
    let first = recorder.first_assigned();
    let offsets = (first.committed, first.start, first.first, first.end);
    assert_eq!((offsets, first.metadata), ((Some(3), 3, 0, 3), None));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_record_and_not_its_batch() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    let id = |number: i32| {
        let kind = if number % 10 == 3 { "panic" } else { "good" };
        format!("{kind}-{number:02}")
    };
    for number in 0..40 {
        send(&bench, &id(number)).await;
    }
    bench.wait_committed(RAW, 0, 40).await;
    let good = (0..40).filter(|number| number % 10 != 3).map(id);
    assert_eq!(recorder.ids(), good.collect::<Vec<_>>(), "each good one exactly once");
    // Otherwise a table would take the later records for known.
    let positions = recorder.positions();
    assert!(positions.is_sorted(), "{positions:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_its_table_and_is_written_once() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    send(&bench, "unavailable").await;
    bench.wait_not_ready("delta: told to").await;
    assert_eq!(bench.committed(RAW, 0).await, Some(0));
    recorder.gate.cancel();
    bench.wait_committed(RAW, 0, 1).await;
    assert_eq!(recorder.ids(), ["unavailable"]);
    bench.wait_ready().await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_assignment_restarts_the_worker_until_it_is_accepted() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await.stop().await;
    send(&bench, "a").await;
    *recorder.refuse.lock() = Some("the topic was recreated".to_owned());
    let bench = bench.restart().await;
    bench.wait_not_ready("the topic was recreated").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(recorder.ids(), Vec::<String>::new(), "nothing is read before that");
    *recorder.refuse.lock() = None;
    bench.wait_committed(RAW, 0, 1).await;
    assert_eq!(recorder.ids(), ["a"]);
    bench.stop().await;
}
