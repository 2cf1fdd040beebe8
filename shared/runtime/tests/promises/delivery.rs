//! What the runtime promises handlers that take messages one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::bench::{Bench, Gate};
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, DownloadResult, DownloadTask, Message, Problem, encode};
use xact_contracts::topology::Stage;
use xact_runtime::{Context, Emit, Failure, Handler, Limits, Outcome, Service, Unavailable};

const PENDING: &str = "xact.downloads.pending";
const RESULTS: &str = "xact.downloads.results";
const DLQ: &str = "xact.downloads.dlq";

/// Does what the task's blob path says.
#[derive(Clone, Default)]
struct Obedient {
    gate: Gate,
    attempts: Arc<AtomicUsize>,
}

impl Obedient {
    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }
}

impl Handler for Obedient {
    const STAGE: Stage = Stage::Download;

    type Input = DownloadTask;

    async fn handle(&self, task: &DownloadTask, context: &Context) -> Result<Outcome<Self>, Failure> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        match task.blob_path.as_str() {
            "wait" => self.gate.cancelled().await,
            "panic" => panic!("told to"),
            "permanent" => return Err(Failure::message(Category::Permanent, "told to")),
            "transient" => return Err(Failure::message(Category::Transient, "told to")),
            "unavailable" if !self.gate.is_cancelled() => return Err(Unavailable::new("lake", "told to").into()),
            _ => {}
        }
        if let Some(due) = task.retry_at().filter(|due| *due > context.now) {
            return Ok(Outcome::NotBefore(due));
        }
        let problem = Problem::new(Category::Unknown, "done");
        let result = DownloadResult::failed_permanently(task, &problem, context.now);
        Ok(Emit::new().message(&result).into())
    }
}

fn task(name: &str, order: &str) -> DownloadTask {
    let text = serde_json::json!({"trace_id": name, "media_id": xact_contracts::ids::media_id(name, "u"), "attachment_url": "https://h/b.pdf",
        "blob_path": order, "status_subtype": "s", "file_type": "PDF", "assignment_id": "a", "original_timestamp": "2024-12-31T12:00:00Z"});
    DownloadTask::decode(text.to_string().as_bytes()).unwrap()
}

/// Starts a download worker that obeys.
async fn start() -> (Bench, Obedient) {
    start_within(Limits::of_concurrency(4)).await
}

async fn start_within(limits: Limits) -> (Bench, Obedient) {
    let obedient = Obedient::default();
    let handler = obedient.clone();
    let factory = Arc::new(move |_: &Settings| Ok(Service::each(handler.clone(), limits)));
    (Bench::start(Stage::Download, factory).await, obedient)
}

async fn send(bench: &Bench, partition: i32, task: &DownloadTask) {
    bench.send_bytes(PENDING, partition, &encode(task)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_record_holds_up_no_other_and_the_commit_never_passes_it() {
    let (bench, obedient) = start().await;
    for partition in 0..6 {
        bench.wait_committed(PENDING, partition, 0).await;
    }
    // One partition: the slow record is in front of all others.
    send(&bench, 0, &task("slow", "wait")).await;
    for number in 0..20 {
        send(&bench, 0, &task(&format!("quick-{number}"), "go")).await;
    }
    bench.wait_for_records(RESULTS, 20).await;
    assert_eq!(
        bench.committed(PENDING, 0).await,
        Some(0),
        "the slow record is not done"
    );
    obedient.gate.cancel();
    bench.wait_for_records(RESULTS, 21).await;
    bench.wait_committed(PENDING, 0, 21).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_go_where_the_table_says_and_the_rest_flows() {
    let (bench, _) = start().await;
    for (name, order) in [("a", "go"), ("b", "panic"), ("c", "permanent"), ("d", "transient")] {
        send(&bench, 1, &task(name, order)).await;
    }
    bench.send_bytes(PENDING, 1, b"\xffnot json").await;
    send(&bench, 1, &task("e", "go")).await;
    bench.wait_committed(PENDING, 1, 6).await;
    let letters = bench.wait_for_records(DLQ, 3).await;
    let letters: Vec<DeadLetter> = letters
        .iter()
        .map(|record| DeadLetter::decode(record).unwrap())
        .collect();
    let of_trace = |id: &str| {
        letters
            .iter()
            .find(|letter| letter.trace_id.as_deref() == Some(id))
            .unwrap()
    };
    let panicked = of_trace("b");
    assert!(panicked.final_error.contains("told to"), "{}", panicked.final_error);
    assert_eq!(panicked.original_task.as_ref().unwrap(), &task("b", "panic"));
    assert_eq!(of_trace("c").error_category, Category::Permanent);
    let unreadable = letters.iter().find(|letter| letter.original_payload.is_some()).unwrap();
    assert_eq!(unreadable.original_bytes().unwrap().unwrap(), b"\xffnot json");
    assert_eq!((unreadable.source.partition, unreadable.source.offset), (1, 4));
    let retries = bench.wait_for_records("xact.downloads.pending.retry.1s", 1).await;
    let retry = DownloadTask::decode(&retries[0]).unwrap();
    assert_eq!((retry.trace_id.as_str(), retry.retry_count), ("d", 1));
    assert!(retry.retry_at().is_some());
    // Those of the good tasks, of the failed ones, and of the panic.
    bench.wait_for_records(RESULTS, 5).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_is_away_keeps_the_message_and_readiness_says_so() {
    let (bench, obedient) = start().await;
    send(&bench, 0, &task("u", "unavailable")).await;
    bench.wait_not_ready("lake: told to").await;
    assert_eq!(bench.records(DLQ).await.len(), 0);
    assert_eq!(bench.committed(PENDING, 0).await, Some(0));
    obedient.gate.cancel();
    bench.wait_for_records(RESULTS, 1).await;
    bench.wait_committed(PENDING, 0, 1).await;
    bench.wait_ready().await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_held_until_it_is_due_and_never_before() {
    let (bench, obedient) = start().await;
    let due = Timestamp::now() + SignedDuration::from_millis(1500);
    let mut later = task("l", "go");
    let retry_at = xact_contracts::time::format(due);
    later.metadata.insert("retry_at".to_owned(), retry_at.into());
    send(&bench, 0, &later).await;
    send(&bench, 0, &task("g", "go")).await;
    bench.wait_for_records(RESULTS, 1).await;
    assert!(Timestamp::now() < due, "the other one did not wait");
    bench.wait_for_records(RESULTS, 2).await;
    assert!(Timestamp::now() >= due);
    assert_eq!(obedient.attempts(), 3, "asked once, held, asked again");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_running_work_and_commits_it() {
    let (bench, obedient) = start().await;
    send(&bench, 0, &task("w", "wait")).await;
    while obedient.attempts() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let open = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        obedient.gate.cancel();
    });
    let bench = bench.stop().await;
    open.await.unwrap();
    assert_eq!(bench.records(RESULTS).await.len(), 1);
    assert_eq!(bench.committed(PENDING, 0).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tight_limits_pause_partitions_and_lose_nothing() {
    let limits = Limits {
        concurrency: 2,
        records: 8,
        bytes: 1 << 20,
        window: 5,
    };
    let (bench, obedient) = start_within(limits).await;
    // A held record in front: the window of its partition stays full until it is done.
    send(&bench, 0, &task("slow", "wait")).await;
    for number in 0..300 {
        send(&bench, number % 6, &task(&format!("t-{number}"), "go")).await;
    }
    // The other partitions are done, and of this one no more than its window and what was on its way.
    for partition in 1..6 {
        bench.wait_committed(PENDING, partition, 50).await;
    }
    assert!(bench.records(RESULTS).await.len() < 250 + 40);
    obedient.gate.cancel();
    bench.wait_for_records(RESULTS, 301).await;
    bench.wait_committed(PENDING, 0, 51).await;
    assert_eq!(obedient.attempts(), 301, "none was worked on twice");
    bench.stop().await;
}
