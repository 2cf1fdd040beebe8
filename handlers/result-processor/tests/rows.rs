//! The result processor on local tables: which results make which rows.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used)]

mod support;

use result_processor::ResultProcessor;
use support::{APP, Bench, completed, failed, handle, result};
use xact_contracts::messages::DownloadResult;
use xact_runtime::{AssignError, Assigned, BatchHandler, CommitMetadata, Starts};

/// Processes batches with these first offsets; returns the number of attachments and of failures.
async fn rows_of(batches: &[(i64, &[DownloadResult])]) -> (usize, usize) {
    let bench = Bench::new();
    for (first, results) in batches {
        bench.handle(*first, results).await;
    }
    bench.counts().await
}

#[tokio::test]
async fn each_final_result_is_one_row_and_a_failure_that_is_retried_is_none() {
    let results = [completed("a"), result("b", "failed", 0), failed("b")];
    assert_eq!(rows_of(&[(0, &results)]).await, (1, 1));
}

#[tokio::test]
async fn redelivered_results_add_no_row() {
    let (results, twice) = ([completed("a"), failed("b")], [completed("a"), completed("a")]);
    // The same offsets, then new offsets, then both results in one batch.
    let batches: [(_, &[_]); 4] = [(0, &results), (0, &results), (2, &results), (4, &twice)];
    assert_eq!(rows_of(&batches).await, (1, 1));
}

#[tokio::test]
async fn a_failure_of_duplicate_work_does_not_affect_the_completed_attachment() {
    // In one batch too, whatever their order.
    let together = [failed("b"), completed("b")];
    let batches: [(_, &[_]); 3] = [(0, &[completed("a")]), (1, &[failed("a")]), (2, &together)];
    assert_eq!(rows_of(&batches).await, (2, 0));
}

#[tokio::test]
async fn a_replay_that_fails_again_is_another_row() {
    let replay = [result("a", "failed_permanent", 1)];
    assert_eq!(rows_of(&[(0, &[failed("a")]), (1, &replay)]).await, (0, 2));
}

/// Assigns partition 0 of a topic with the records from 0 to `end`; returns where to start.
async fn assign(
    processor: &ResultProcessor,
    committed: impl Into<Option<i64>>,
    metadata: Option<CommitMetadata>,
    end: i64,
) -> Result<Starts, AssignError> {
    let committed = committed.into();
    let partition = Assigned {
        app_id: APP.into(),
        topic: "xact.downloads.results".to_owned(),
        partition: 0,
        committed,
        metadata,
        start: committed.unwrap_or(0),
        first: 0,
        end,
    };
    processor.assigned(&[partition]).await
}

/// Returns what the processor notes with its commits: the tables' positions.
fn noted(processor: &ResultProcessor) -> Option<CommitMetadata> {
    Some(CommitMetadata::Tables(processor.table_positions(&APP.into())))
}

fn start(offset: i64) -> Starts {
    Starts::from([(APP.into(), offset)])
}

#[tokio::test]
async fn a_table_that_is_ahead_of_the_topic_is_refused_with_advice() {
    let bench = Bench::new();
    bench.handle(0, &["a", "b"].map(completed)).await;
    assert_eq!(assign(&bench.processor, 0, None, 2).await, Ok(Starts::new()));
    let Err(AssignError::Refused(advice)) = assign(&bench.processor, 0, None, 1).await else {
        unreachable!("the topic was recreated");
    };
    assert!(advice.contains("KAFKA_CONSUMER_GROUP_PREFIX"), "{advice}");
}

#[tokio::test]
async fn a_restored_table_gets_its_lost_rows_again_and_the_other_table_no_duplicates() {
    let results = ["a", "b", "c", "d"].map(completed);
    let failures = ["e", "f"].map(failed);
    let bench = Bench::new();
    bench.handle(0, &results[..2]).await;
    let backup = bench.backup("xact_attachments");
    bench.handle(2, &results[2..]).await;
    bench.handle(4, &failures).await;
    let note = noted(&bench.processor);
    // The attachments' position lags as noted.
    assert_eq!(assign(&bench.another(), 6, note.clone(), 6).await, Ok(Starts::new()));
    bench.restore("xact_attachments", &backup);

    let processor = bench.another();
    assert_eq!(assign(&processor, 6, note, 6).await, Ok(start(2)));
    let again = [&results[2..], &failures].concat();
    handle(&processor, 2, &again).await.unwrap();
    assert_eq!(bench.counts().await, (4, 2));
    let later = assign(&bench.another(), 6, noted(&processor), 6).await;
    assert_eq!(later, Ok(Starts::new()));
}

#[tokio::test]
async fn a_batch_without_rows_for_a_table_makes_no_commit_and_its_position_may_lag() {
    let bench = Bench::new();
    let commits = || ["xact_attachments", "xact_attachments_failed"].map(|table| bench.commits(table));
    bench.handle(0, &[completed("a")]).await;
    bench.handle(1, &[failed("x")]).await;
    let [attachments, failures] = commits();
    // Failures that are retried make no row.
    bench.handle(2, &[result("y", "failed", 0)]).await;
    assert_eq!(commits(), [attachments, failures]);
    bench.handle(3, &["b", "c"].map(completed)).await;
    assert_eq!(commits(), [attachments + 1, failures]);
    let next = bench.another();
    let starts = assign(&next, 5, noted(&bench.processor), 5).await;
    assert_eq!(starts, Ok(Starts::new()));
    // All of it again, as if the group's offset was lost: no duplicates.
    handle(&next, 0, &[completed("a"), failed("x")]).await.unwrap();
    let rest = [result("y", "failed", 0), completed("b"), completed("c")];
    handle(&next, 2, &rest).await.unwrap();
    assert_eq!(bench.counts().await, (3, 1));
}

#[tokio::test]
async fn tables_that_are_new_to_an_old_group_are_filled_from_the_first_record() {
    let bench = Bench::new();
    assert_eq!(assign(&bench.processor, 6, None, 6).await, Ok(start(0)));
}

#[tokio::test]
async fn a_recreated_topic_that_has_grown_past_the_table_loses_nothing() {
    let bench = Bench::new();
    bench.handle(0, &["a", "b"].map(completed)).await;
    // Deleting a topic deletes its groups' offsets.
    assert_eq!(assign(&bench.processor, None, None, 9).await, Ok(start(0)));
    bench.handle(0, &["c", "a"].map(completed)).await;
    assert_eq!(bench.counts().await, (3, 0), "not skipped by offset");
}

#[tokio::test]
async fn offsets_reset_to_the_first_add_no_duplicates() {
    let results = [completed("a"), failed("b")];
    let bench = Bench::new();
    bench.handle(0, &results).await;
    let reset = Some(CommitMetadata::OperatorReset);
    assert_eq!(assign(&bench.processor, 0, reset, 2).await, Ok(Starts::new()));
    bench.handle(0, &results).await;
    assert_eq!(bench.counts().await, (1, 1));
}

#[tokio::test]
async fn offsets_reset_forward_are_kept_after_a_restart() {
    let bench = Bench::new();
    bench.handle(0, &[completed("a")]).await;
    let reset = Some(CommitMetadata::OperatorReset);
    assert_eq!(assign(&bench.processor, 7, reset, 9).await, Ok(Starts::new()));
    // The next commit is the stage's, with the tables' positions, with or without rows.
    let later = assign(&bench.another(), 7, noted(&bench.processor), 9).await;
    assert_eq!(later, Ok(Starts::new()));
}
