use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::consume::{Memory, Partition};
use crate::emit::Emit;
use crate::routing::Routing;
use xact_config::{Environment, Settings};
use xact_contracts::messages::DownloadTask;
use xact_contracts::topology::Stage;
use xact_kafka::{Producer, Wake};
use xact_telemetry::health::Health;

const RECORDS: usize = 3_000;
const CONCURRENCY: usize = 4;

/// Notes in which order messages begin, and how many are handled at the same time.
#[derive(Default)]
struct Noting {
    begun: Mutex<Vec<usize>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

impl Handler for Arc<Noting> {
    const STAGE: Stage = Stage::Download;

    type Input = DownloadTask;

    async fn handle(&self, task: &DownloadTask, _: &Context) -> Result<Outcome<Self>, Failure> {
        self.begun
            .lock()
            .push(usize::try_from(task.media_id.as_u128()).unwrap());
        let running = 1 + self.running.fetch_add(1, Ordering::SeqCst);
        self.most_running.fetch_max(running, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(Emit::new().into())
    }
}

fn context() -> Arc<WorkerContext> {
    let settings = Settings::from_environment(&Environment::default()).unwrap();
    let health = Health::default();
    Arc::new(WorkerContext {
        worker: "download".to_owned(),
        group: "download-worker".to_owned(),
        routing: Routing {
            stage: Stage::Download,
            topics: settings.topics,
            max_retries: 4,
        },
        // Nothing is sent, so it needs no broker.
        producer: Producer::new(&settings.internal_cluster, health.clone(), "producer").unwrap(),
        health,
        drain: CancellationToken::new(),
    })
}

fn record(number: usize) -> Record {
    let media_id = format!("00000000-0000-0000-0000-{number:012x}");
    let task = serde_json::json!({"trace_id": "t", "media_id": media_id, "attachment_url": "https://a/b.pdf",
        "blob_path": "p", "status_subtype": "s", "file_type": "PDF", "assignment_id": "a", "retry_count": 0,
        "original_timestamp": "2024-12-31T12:00:00Z"});
    Record {
        offset: i64::try_from(number).unwrap(),
        payload: task.to_string().into_bytes(),
        ..Record::default()
    }
}

#[test]
fn many_records_begin_in_their_order_and_no_more_than_allowed_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let limits = Limits::of_concurrency(CONCURRENCY);
    let partition = Partition::new("g", "t".into(), 0, Wake::default());
    let memory = Memory::new(limits, Wake::default());
    let handler = Arc::new(Noting::default());
    let service = Arc::new(EachService {
        handler: Arc::clone(&handler),
        limits,
    });
    let sink = runtime.block_on(async { service.start(context(), Handle::current()) });
    for number in 0..RECORDS {
        partition.offsets().track(i64::try_from(number).unwrap());
        sink.accept(InFlight::new(record(number), Arc::clone(&partition), &memory));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while partition.offsets().window() > 0 {
        assert!(
            Instant::now() < deadline,
            "{} records are left",
            partition.offsets().window()
        );
        std::thread::yield_now();
    }
    let begun = handler.begun.lock().clone();
    assert_eq!(begun.iter().collect::<BTreeSet<_>>().len(), RECORDS);
    for (place, &number) in begun.iter().enumerate() {
        // A permit may be held by each of the others that come later.
        assert!(number < place + CONCURRENCY, "record {number} began in place {place}");
    }
    assert!(handler.most_running.load(Ordering::SeqCst) <= CONCURRENCY);
    runtime.shutdown_background();
}
