//! The result processor on local tables: which results make which rows.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used)]

mod support;

use support::{APP, Bench, handle, result};
use xact_runtime::{AssignError, Assigned, BatchHandler, CommitMetadata, Starts};

#[tokio::test]
async fn each_final_result_is_one_row_and_a_failure_that_is_retried_is_none() {
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
async fn redelivered_results_add_no_row() {
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
async fn a_failure_of_duplicate_work_does_not_affect_the_completed_attachment() {
    let bench = Bench::new();
    bench.handle(0, &[result("a", "completed", 0)]).await;
    bench.handle(1, &[result("a", "failed_permanent", 0)]).await;
    // In one batch too, whatever their order.
    bench
        .handle(2, &[result("b", "failed_permanent", 0), result("b", "completed", 0)])
        .await;
    assert_eq!(bench.counts().await, (2, 0));
}

#[tokio::test]
async fn a_replay_that_fails_again_is_another_row() {
    let bench = Bench::new();
    bench.handle(0, &[result("a", "failed_permanent", 0)]).await;
    bench.handle(1, &[result("a", "failed_permanent", 1)]).await;
    assert_eq!(bench.counts().await, (0, 2));
}

/// Partition 0 of a topic with the records from 0 to `end`.
fn assigned(committed: Option<i64>, note: Option<CommitMetadata>, end: i64) -> [Assigned; 1] {
    [Assigned {
        app_id: APP.into(),
        topic: "xact.downloads.results".to_owned(),
        partition: 0,
        committed,
        metadata: note,
        start: committed.unwrap_or(0),
        first: 0,
        end,
    }]
}

fn start(offset: i64) -> Starts {
    Starts::from([(APP.into(), offset)])
}

#[tokio::test]
async fn a_table_that_is_ahead_of_the_topic_is_refused_with_advice() {
    let bench = Bench::new();
    bench
        .handle(0, &[result("a", "completed", 0), result("b", "completed", 0)])
        .await;
    let assign = |end| {
        let processor = &bench.processor;
        async move { processor.assigned(&assigned(Some(0), None, end)).await }
    };
    assert_eq!(assign(2).await, Ok(Starts::new()));
    let Err(AssignError::Refused(advice)) = assign(1).await else {
        unreachable!("the topic was recreated");
    };
    assert!(advice.contains("KAFKA_CONSUMER_GROUP_PREFIX"), "{advice}");
}

#[tokio::test]
async fn a_restored_table_gets_its_lost_rows_again_and_the_other_table_no_duplicates() {
    let results = ["a", "b", "c", "d"].map(|name| result(name, "completed", 0));
    let failures = ["e", "f"].map(|name| result(name, "failed_permanent", 0));
    let bench = Bench::new();
    bench.handle(0, &results[..2]).await;
    let backup = bench.backup("xact_attachments");
    bench.handle(2, &results[2..]).await;
    bench.handle(4, &failures).await;
    let noted = Some(CommitMetadata::Tables(bench.processor.table_positions(&APP.into())));
    assert_eq!(
        bench.another().assigned(&assigned(Some(6), noted.clone(), 6)).await,
        Ok(Starts::new()),
        "the attachments' position lags as noted"
    );
    bench.restore("xact_attachments", &backup);

    let processor = bench.another();
    assert_eq!(processor.assigned(&assigned(Some(6), noted, 6)).await, Ok(start(2)));
    handle(&processor, 2, &[&results[2..], &failures].concat())
        .await
        .unwrap();
    assert_eq!(bench.counts().await, (4, 2));
    let noted = Some(CommitMetadata::Tables(processor.table_positions(&APP.into())));
    let later = bench.another();
    assert_eq!(later.assigned(&assigned(Some(6), noted, 6)).await, Ok(Starts::new()));
}

#[tokio::test]
async fn a_batch_without_rows_for_a_table_makes_no_commit_and_its_position_may_lag() {
    let bench = Bench::new();
    let results = ["a", "b", "c"].map(|name| result(name, "completed", 0));
    bench.handle(0, &results[..1]).await;
    bench.handle(1, &[result("x", "failed_permanent", 0)]).await;
    let commits = || {
        (
            bench.commits("xact_attachments"),
            bench.commits("xact_attachments_failed"),
        )
    };
    let before = commits();
    // Failures that are retried make no row.
    bench.handle(2, &[result("y", "failed", 0)]).await;
    assert_eq!(commits(), before);
    bench.handle(3, &results[1..]).await;
    assert_eq!(commits(), (before.0 + 1, before.1));
    let noted = Some(CommitMetadata::Tables(bench.processor.table_positions(&APP.into())));
    let next = bench.another();
    assert_eq!(next.assigned(&assigned(Some(5), noted, 5)).await, Ok(Starts::new()));
    // All of it again, as if the group's offset was lost: no duplicates.
    handle(
        &next,
        0,
        &[&results[..1], &[result("x", "failed_permanent", 0)]].concat(),
    )
    .await
    .unwrap();
    handle(&next, 2, &[&[result("y", "failed", 0)], &results[1..]].concat())
        .await
        .unwrap();
    assert_eq!(bench.counts().await, (3, 1));
}

#[tokio::test]
async fn tables_that_are_new_to_an_old_group_are_filled_from_the_first_record() {
    let bench = Bench::new();
    assert_eq!(
        bench.processor.assigned(&assigned(Some(6), None, 6)).await,
        Ok(start(0))
    );
}

#[tokio::test]
async fn a_recreated_topic_that_has_grown_past_the_table_loses_nothing() {
    let bench = Bench::new();
    bench
        .handle(0, &["a", "b"].map(|name| result(name, "completed", 0)))
        .await;
    // Deleting a topic deletes its groups' offsets.
    assert_eq!(bench.processor.assigned(&assigned(None, None, 9)).await, Ok(start(0)));
    bench
        .handle(0, &["c", "a"].map(|name| result(name, "completed", 0)))
        .await;
    assert_eq!(bench.counts().await, (3, 0), "not skipped by offset");
}

#[tokio::test]
async fn offsets_reset_to_the_first_add_no_duplicates() {
    let results = [result("a", "completed", 0), result("b", "failed_permanent", 0)];
    let bench = Bench::new();
    bench.handle(0, &results).await;
    let again = assigned(Some(0), Some(CommitMetadata::OperatorReset), 2);
    assert_eq!(bench.processor.assigned(&again).await, Ok(Starts::new()));
    bench.handle(0, &results).await;
    assert_eq!(bench.counts().await, (1, 1));
}

#[tokio::test]
async fn offsets_reset_forward_are_kept_after_a_restart() {
    let bench = Bench::new();
    bench.handle(0, &[result("a", "completed", 0)]).await;
    let skipping = assigned(Some(7), Some(CommitMetadata::OperatorReset), 9);
    assert_eq!(bench.processor.assigned(&skipping).await, Ok(Starts::new()));
    // The next commit is the stage's, with the tables' positions, with or without rows.
    let noted = Some(CommitMetadata::Tables(bench.processor.table_positions(&APP.into())));
    let later = bench.another();
    assert_eq!(later.assigned(&assigned(Some(7), noted, 9)).await, Ok(Starts::new()));
}
