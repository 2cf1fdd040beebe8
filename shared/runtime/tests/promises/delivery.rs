//! What it promises handlers that take messages one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::bench::{Bench, Gate};
use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, DownloadTask, Message};
use xact_contracts::topology::Stage;
use xact_runtime::{Context, Emit, Failure, Handler, Limits, Outcome, Service, Unavailable};

const PENDING: &str = "xact.downloads.pending";
const RESULTS: &str = "xact.downloads.results";
const DLQ: &str = "xact.downloads.dlq";

/// Does what the task's blob path says.
struct Obedient {
    gate: Gate,
    attempts: Arc<AtomicUsize>,
}

impl Handler for Obedient {
    const STAGE: Stage = Stage::Download;

    type Input = DownloadTask;

    async fn handle(&self, task: &DownloadTask, context: &Context) -> Result<Outcome<Self>, Failure> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        match task.blob_path.as_str() {
            "wait" => self.gate.wait().await,
            "panic" => panic!("told to"),
            "permanent" => return Err(Failure::message(Category::Permanent, "told to")),
            "transient" => return Err(Failure::message(Category::Transient, "told to")),
            "unavailable" if !self.gate.is_open() => return Err(Unavailable::new("lake", "told to").into()),
            "later" => match task.retry_at() {
                Some(due) if due > context.now => return Ok(Outcome::NotBefore(due)),
                _ => {}
            },
            _ => {}
        }
        let problem = xact_contracts::messages::Problem::new(Category::Unknown, "done");
        Ok(Emit::new()
            .message(&xact_contracts::messages::DownloadResult::failed_permanently(
                task,
                &problem,
                context.now,
            ))
            .into())
    }
}

fn task(name: &str, order: &str) -> DownloadTask {
    let text = serde_json::json!({"trace_id": name, "media_id": xact_contracts::ids::media_id(name, "u"), "attachment_url": "https://h/b.pdf",
        "blob_path": order, "status_subtype": "s", "file_type": "PDF", "assignment_id": "a", "original_timestamp": "2024-12-31T12:00:00Z"});
    DownloadTask::decode(text.to_string().as_bytes()).unwrap()
}

struct Run {
    bench: Bench,
    gate: Gate,
    attempts: Arc<AtomicUsize>,
}

/// Starts a download worker that obeys.
async fn start() -> Run {
    start_within(Limits::of_concurrency(4)).await
}

async fn start_within(limits: Limits) -> Run {
    let gate = Gate::default();
    let attempts = Arc::new(AtomicUsize::new(0));
    let (shared_gate, shared_attempts) = (gate.clone(), Arc::clone(&attempts));
    let bench = Bench::start(
        Stage::Download,
        Arc::new(move |_| {
            let handler = Obedient {
                gate: shared_gate.clone(),
                attempts: Arc::clone(&shared_attempts),
            };
            Ok(Service::each(handler, limits))
        }),
    )
    .await;
    Run { bench, gate, attempts }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_record_holds_up_no_other_and_the_commit_never_passes_it() {
    let run = start().await;
    // One partition: the slow record is in front of all others.
    run.bench.send_to(PENDING, 0, &task("slow", "wait")).await;
    for number in 0..20 {
        run.bench
            .send_to(PENDING, 0, &task(&format!("quick-{number}"), "go"))
            .await;
    }
    run.bench.wait_for_records(RESULTS, 20).await;
    assert_eq!(
        run.bench.committed(PENDING, 0).await,
        Some(0),
        "the slow record is not done"
    );
    run.gate.open();
    run.bench.wait_for_records(RESULTS, 21).await;
    run.bench.wait_committed(PENDING, 0, 21).await;
    run.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_dead_letter_and_the_rest_flows() {
    let run = start().await;
    for (name, order) in [("a", "go"), ("b", "panic"), ("c", "go")] {
        run.bench.send_to(PENDING, 1, &task(name, order)).await;
    }
    run.bench.send_bytes(PENDING, 1, b"\xffnot json").await;
    run.bench.send_to(PENDING, 1, &task("d", "go")).await;
    run.bench.wait_committed(PENDING, 1, 5).await;
    let letters: Vec<DeadLetter> = run
        .bench
        .wait_for_records(DLQ, 2)
        .await
        .iter()
        .map(|record| DeadLetter::decode(record).unwrap())
        .collect();
    let panicked = letters
        .iter()
        .find(|letter| letter.trace_id.as_deref() == Some("b"))
        .unwrap();
    assert!(panicked.final_error.contains("told to"), "{}", panicked.final_error);
    assert_eq!(panicked.original_task.as_ref().unwrap(), &task("b", "panic"));
    let unreadable = letters.iter().find(|letter| letter.original_payload.is_some()).unwrap();
    assert_eq!(unreadable.original_bytes().unwrap().unwrap(), b"\xffnot json");
    assert_eq!((unreadable.source.partition, unreadable.source.offset), (1, 3));
    run.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_go_where_the_table_says() {
    let run = start().await;
    run.bench.send_to(PENDING, 0, &task("p", "permanent")).await;
    run.bench.send_to(PENDING, 0, &task("t", "transient")).await;
    let letters = run.bench.wait_for_records(DLQ, 1).await;
    assert_eq!(
        DeadLetter::decode(&letters[0]).unwrap().error_category,
        Category::Permanent
    );
    let retries = run.bench.wait_for_records("xact.downloads.pending.retry.1s", 1).await;
    let retry = DownloadTask::decode(&retries[0]).unwrap();
    assert_eq!((retry.trace_id.as_str(), retry.retry_count), ("t", 1));
    assert!(retry.retry_at().is_some());
    run.bench.wait_for_records(RESULTS, 2).await;
    run.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_is_away_keeps_the_message_and_readiness_says_so() {
    let run = start().await;
    run.bench.send_to(PENDING, 0, &task("u", "unavailable")).await;
    run.bench.wait_not_ready("lake: told to").await;
    assert_eq!(run.bench.records(DLQ).await.len(), 0);
    assert_eq!(run.bench.committed(PENDING, 0).await, Some(0));
    run.gate.open();
    run.bench.wait_for_records(RESULTS, 1).await;
    run.bench.wait_committed(PENDING, 0, 1).await;
    run.bench.wait_ready().await;
    run.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_held_until_it_is_due_and_never_before() {
    let run = start().await;
    let due = jiff::Timestamp::now()
        .checked_add(jiff::SignedDuration::from_millis(1500))
        .unwrap();
    let mut later = task("l", "later");
    later
        .metadata
        .insert("retry_at".to_owned(), xact_contracts::time::format(due).into());
    run.bench.send_to(PENDING, 0, &later).await;
    run.bench.send_to(PENDING, 0, &task("g", "go")).await;
    run.bench.wait_for_records(RESULTS, 1).await;
    assert!(jiff::Timestamp::now() < due, "the other one did not wait");
    run.bench.wait_for_records(RESULTS, 2).await;
    assert!(jiff::Timestamp::now() >= due);
    assert_eq!(run.attempts.load(Ordering::SeqCst), 3, "asked once, held, asked again");
    run.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_without_a_position_get_one_on_assignment() {
    let run = start().await;
    for partition in 0..6 {
        run.bench.wait_committed(PENDING, partition, 0).await;
    }
    run.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_running_work_and_commits_it() {
    let run = start().await;
    run.bench.send_to(PENDING, 0, &task("w", "wait")).await;
    while run.attempts.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gate = run.gate.clone();
    let open = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.open();
    });
    let bench = run.bench.stop().await;
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
    let run = start_within(limits).await;
    // A held record in front: the window of its partition stays full until it is due.
    run.bench.send_to(PENDING, 0, &task("slow", "wait")).await;
    for number in 0..300 {
        run.bench
            .send_to(PENDING, number % 6, &task(&format!("t-{number}"), "go"))
            .await;
    }
    // The other partitions are done, and of this one no more than its window and what was on its way.
    for partition in 1..6 {
        run.bench.wait_committed(PENDING, partition, 50).await;
    }
    assert!(run.bench.records(RESULTS).await.len() < 250 + 40);
    run.gate.open();
    run.bench.wait_for_records(RESULTS, 301).await;
    for partition in 0..6 {
        run.bench
            .wait_committed(PENDING, partition, if partition == 0 { 51 } else { 50 })
            .await;
    }
    assert_eq!(run.attempts.load(Ordering::SeqCst), 301, "none was worked on twice");
    run.bench.stop().await;
}
