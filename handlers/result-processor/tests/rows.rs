//! The result processor on local tables: which results make which rows, and when none.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used)]

use contracts::messages::{DownloadResult, Message, Source};
use lake::{AttachmentRow, FailedRow, Location, Table, TableOptions, TableRow};
use result_processor::ResultProcessor;
use runtime::config::{Environment, Settings};
use runtime::{AssignError, Assigned, Batch, BatchHandler, Context, Delivered};
use serde_json::json;
use std::collections::BTreeMap;

const APP: &str = "xact-result-processor:xact.downloads.results:0";

struct Bench {
    processor: ResultProcessor,
    settings: Settings,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        for (name, table) in [
            ("DELTA_INVENTORY_TABLE_PATH", "attachments"),
            ("DELTA_FAILED_TABLE_PATH", "failed"),
        ] {
            environment.set(name, folder.path().join(table).display().to_string());
        }
        let settings = Settings::from_environment(&environment).unwrap();
        Self {
            processor: ResultProcessor::new(&settings).unwrap(),
            settings,
            _folder: folder,
        }
    }

    /// Hands over results with offsets from `first` on.
    async fn handle(&self, first: i64, results: &[DownloadResult]) {
        let records: Vec<Delivered<DownloadResult>> = (first..)
            .zip(results)
            .map(|(offset, input)| Delivered {
                input: input.clone(),
                source: Source {
                    topic: "xact.downloads.results".to_owned(),
                    partition: 0,
                    offset,
                    timestamp: None,
                },
                record_timestamp: None,
                app_id: Some(APP.to_owned()),
            })
            .collect();
        let next = first + i64::try_from(results.len()).unwrap();
        let batch = Batch {
            records: records.iter().collect(),
            positions: BTreeMap::from([(APP.to_owned(), next)]),
        };
        let context = Context {
            now: "2025-01-01T00:00:10Z".parse().unwrap(),
            record_timestamp: None,
        };
        assert!(self.processor.handle(&batch, &context).await.unwrap().is_empty());
    }

    async fn rows<R: TableRow>(path: &str) -> usize {
        let table = Table::<R>::new(Location::parse(path).unwrap(), TableOptions::default());
        let batches = table.scan(&["media_id"]).await.unwrap();
        batches.iter().map(lake::arrow::array::RecordBatch::num_rows).sum()
    }

    /// Rows of attachments and of failures.
    async fn counts(&self) -> (usize, usize) {
        (
            Self::rows::<AttachmentRow>(&self.settings.attachments_table).await,
            Self::rows::<FailedRow>(&self.settings.failed_table).await,
        )
    }
}

fn result(name: &str, status: &str, replay_count: u32) -> DownloadResult {
    let text = json!({"trace_id": "t", "media_id": contracts::ids::media_id("t", name), "attachment_url": "https://h/a.pdf?sig=S",
        "blob_path": "p", "status_subtype": "s", "file_type": "PDF", "assignment_id": "a", "status": status, "bytes_downloaded": 5,
        "replay_count": replay_count, "original_timestamp": "2024-12-31T12:00:00Z", "created_at": "2025-01-01T00:00:00Z"});
    DownloadResult::decode(text.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn each_final_result_is_one_row_and_an_attempt_that_is_tried_again_is_none() {
    let bench = Bench::new();
    let results = [
        result("a", "completed", 0),
        result("b", "failed", 0),
        result("b", "failed_permanent", 0),
    ];
    bench.handle(0, &results).await;
    assert_eq!(bench.counts().await, (1, 1));
}

#[tokio::test]
async fn results_that_come_again_add_no_row() {
    let bench = Bench::new();
    let results = [result("a", "completed", 0), result("b", "failed_permanent", 0)];
    // The same offsets, then new offsets, then both results in one batch.
    bench.handle(0, &results).await;
    bench.handle(0, &results).await;
    bench.handle(2, &results).await;
    bench.handle(4, &[results[0].clone(), results[0].clone()]).await;
    assert_eq!(bench.counts().await, (1, 1));
}

#[tokio::test]
async fn a_failure_of_work_done_twice_leaves_the_completed_attachment_alone() {
    let bench = Bench::new();
    bench.handle(0, &[result("a", "completed", 0)]).await;
    bench.handle(1, &[result("a", "failed_permanent", 0)]).await;
    // In one batch as well, whichever stands first.
    bench
        .handle(2, &[result("b", "failed_permanent", 0), result("b", "completed", 0)])
        .await;
    assert_eq!(bench.counts().await, (2, 0));
}

#[tokio::test]
async fn a_replay_that_fails_again_is_a_row_of_its_own() {
    let bench = Bench::new();
    bench.handle(0, &[result("a", "failed_permanent", 0)]).await;
    bench.handle(1, &[result("a", "failed_permanent", 1)]).await;
    assert_eq!(bench.counts().await, (0, 2));
}

#[tokio::test]
async fn a_table_that_is_ahead_of_the_topic_is_refused_with_advice() {
    let bench = Bench::new();
    bench
        .handle(0, &[result("a", "completed", 0), result("b", "completed", 0)])
        .await;
    let assigned = |end| Assigned {
        app_id: APP.to_owned(),
        topic: "xact.downloads.results".to_owned(),
        partition: 0,
        start: 0,
        end,
    };
    assert_eq!(bench.processor.assigned(&[assigned(2)]).await, Ok(()));
    let Err(AssignError::Refused(advice)) = bench.processor.assigned(&[assigned(1)]).await else {
        unreachable!("the topic was recreated");
    };
    assert!(advice.contains("KAFKA_CONSUMER_GROUP_PREFIX"), "{advice}");
}
