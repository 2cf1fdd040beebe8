//! What the runtime promises batch handlers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bench::{Bench, Gate};
use xact_contracts::ids::AppId;
use xact_contracts::messages::Event;
use xact_contracts::topology::Stage;
use xact_runtime::{
    AssignError, Assigned, Batch, BatchHandler, CommitMetadata, Context, Refused, Service, Starts, TablePositions,
    Unavailable,
};

const RAW: &str = "xact.events.raw";
const APP: &str = "xact-event-writer:xact.events.raw:0";

/// One batch as the handler saw it.
#[derive(Debug, Clone)]
struct Seen {
    ids: Vec<String>,
    positions: BTreeMap<AppId, i64>,
}

#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
    assigned: Arc<Mutex<Vec<Assigned>>>,
    gate: Gate,
    /// As a table would, refuse to start while this says so.
    refuse: Arc<Mutex<Option<String>>>,
    /// As a table would that is behind the group: where to begin.
    starts: Arc<Mutex<Starts>>,
    /// As a stage with tables would: how far they are.
    tables: Arc<Mutex<Option<TablePositions>>>,
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

    /// The furthest position that the handler was given for partition 0.
    fn position(&self) -> Option<i64> {
        let seen = self.seen.lock().unwrap();
        let positions = seen.iter().filter_map(|seen| seen.positions.get(APP));
        positions.max().copied()
    }
}

impl BatchHandler for Recorder {
    const STAGE: Stage = Stage::EventWriter;

    type Input = Event;

    async fn assigned(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        if let Some(reason) = self.refuse.lock().unwrap().clone() {
            return Err(AssignError::Refused(reason));
        }
        self.assigned.lock().unwrap().extend_from_slice(partitions);
        Ok(self.starts.lock().unwrap().clone())
    }

    fn table_positions(&self, _: &AppId) -> TablePositions {
        self.tables.lock().unwrap().clone().unwrap_or_default()
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
        Arc::new(move |settings| Ok(Service::batch(recorder.clone(), settings.event_batch))),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_its_positions_and_unreadable_records_move_them() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    assert_eq!(recorder.assigned.lock().unwrap().len(), 6);
    // An unreadable one alone in its batch as well.
    bench.send_bytes(RAW, 0, b"{").await;
    bench.wait_committed(RAW, 0, 1).await;
    assert_eq!(recorder.position(), Some(1));
    bench.send_bytes(RAW, 0, event("a").as_bytes()).await;
    bench.send_bytes(RAW, 0, b"{").await;
    bench.wait_committed(RAW, 0, 3).await;
    assert_eq!((recorder.ids(), recorder.position()), (vec!["a".to_owned()], Some(3)));
    bench.send_bytes(RAW, 0, event("panic").as_bytes()).await;
    bench.wait_committed(RAW, 0, 4).await;
    assert_eq!(
        recorder.position(),
        Some(3),
        "a record that was given up has no row to move a table's position"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_positions_stand_beside_the_committed_offset() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    for id in ["a", "b"] {
        bench.send_bytes(RAW, 0, event(id).as_bytes()).await;
    }
    bench.wait_committed(RAW, 0, 2).await;
    // An unreadable record is passed without a row: the position lags, and the note says so.
    bench.send_bytes(RAW, 0, b"{").await;
    *recorder.tables.lock().unwrap() = Some(TablePositions::from([("xact_events".to_owned(), Some(2))]));
    bench.send_bytes(RAW, 0, b"{").await;
    bench.wait_committed(RAW, 0, 4).await;
    let bench = bench.stop().await;
    recorder.assigned.lock().unwrap().clear();
    let bench = bench.restart().await;
    bench.send_bytes(RAW, 0, event("c").as_bytes()).await;
    bench.wait_committed(RAW, 0, 5).await;
    let assigned = recorder.assigned.lock().unwrap().clone();
    let first = assigned
        .iter()
        .find(|assigned| assigned.app_id.as_str() == APP)
        .unwrap();
    let noted = TablePositions::from([("xact_events".to_owned(), Some(2))]);
    assert_eq!(first.metadata, Some(CommitMetadata::Tables(noted)));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_whose_table_is_behind_begins_where_the_table_is() {
    let recorder = Recorder::default();
    let bench = start(&recorder).await;
    for id in ["a", "b", "c"] {
        bench.send_bytes(RAW, 0, event(id).as_bytes()).await;
    }
    bench.wait_committed(RAW, 0, 3).await;
    let bench = bench.stop().await;
    recorder.seen.lock().unwrap().clear();
    recorder.assigned.lock().unwrap().clear();
    *recorder.starts.lock().unwrap() = Starts::from([(APP.into(), 1)]);
    let bench = bench.restart().await;
    let read_again = async {
        while recorder.ids().len() < 2 {
            bench.committed(RAW, 0).await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, read_again)
        .await
        .expect("the records behind the table's position are read again");
    bench.wait_committed(RAW, 0, 3).await;
    assert_eq!(recorder.ids(), ["b", "c"]);
    let assigned = recorder.assigned.lock().unwrap().clone();
    let first = assigned
        .iter()
        .find(|assigned| assigned.app_id.as_str() == APP)
        .unwrap();
    assert_eq!(
        (
            first.committed,
            first.start,
            first.first,
            first.end,
            first.metadata.clone()
        ),
        (Some(3), 3, 0, 3, None)
    );
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
        .filter_map(|seen| seen.positions.get(APP).copied())
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
