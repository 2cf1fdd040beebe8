//! The result processor on local tables: which results make which rows, and when none.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used)]

// The lake's faulty storage is shared with the lake's own tests, which know the crate by its full name.
extern crate lake as xact_lake;

mod support;

use runtime::{AssignError, Assigned, BatchHandler};
use support::{APP, Bench, result};

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
