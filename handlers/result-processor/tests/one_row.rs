//! An attachment has exactly one row in one of the two tables, whatever the order of its results, with concurrent writers, and
//! wherever a process dies.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used)]

mod support;

use support::faulty_store::{Fault, Faults};
use support::{Bench, completed, failed, handle, handle_of, media_ids, result};
use xact_contracts::messages::DownloadResult;

#[tokio::test]
async fn a_completed_attachment_replaces_its_failures() {
    let bench = Bench::new();
    let failures = [failed("a"), result("a", "failed_permanent", 1), failed("b")];
    bench.handle(0, &failures).await;
    assert_eq!(bench.counts().await, (0, 3));
    bench.handle(3, &[completed("a")]).await;
    assert_eq!(bench.media().await, [media_ids(&["a"]), media_ids(&["b"])]);
}

/// A result of an event without a timestamp, whose record is of this day.
fn of_record(name: &str, status: &str, day: u32) -> DownloadResult {
    let mut result = result(name, status, 0);
    result.original_timestamp = format!("2024-12-{day:02}T12:00:00Z").parse().unwrap();
    result.timestamp_from_record = true;
    result
}

#[tokio::test]
async fn an_event_without_a_timestamp_that_is_resent_adds_no_row() {
    let bench = Bench::new();
    let (file, failure) = ("completed", "failed_permanent");
    // The first record decides the date; the second is of another day, in a batch of its own or in the same one.
    for (first, a, b) in [
        (0, of_record("a", file, 1), of_record("b", failure, 1)),
        (2, of_record("a", file, 3), of_record("b", failure, 3)),
        (4, of_record("c", file, 5), of_record("c", file, 6)),
    ] {
        bench.handle(first, &[a, b]).await;
    }
    assert_eq!(bench.counts().await, (2, 1));
    // A failure or a completion on another day belongs to the same attachment.
    let late = [of_record("a", failure, 9), of_record("b", file, 9)];
    bench.handle(6, &late).await;
    assert_eq!(bench.counts().await, (3, 0));
    // With timestamps they are different events of one id: other dates are not searched.
    let mut own = of_record("a", file, 20);
    own.timestamp_from_record = false;
    bench.handle(8, &[own]).await;
    assert_eq!(bench.counts().await, (4, 0));
}

#[tokio::test]
async fn every_order_of_results_leaves_one_row() {
    // Each sequence is a list of batches, and each batch a list of results.
    let (c, f) = (|| completed("a"), || failed("a"));
    let orders: [&[Vec<DownloadResult>]; 8] = [
        &[vec![c()], vec![f()]],
        &[vec![f()], vec![c()]],
        &[vec![c(), f()]],
        &[vec![f(), c()]],
        &[vec![f()], vec![c()], vec![f()]],
        &[vec![c()], vec![f()], vec![c()]],
        &[vec![f()], vec![f(), c()], vec![f()]],
        &[vec![f(), c(), f()], vec![result("a", "failed_permanent", 1)]],
    ];
    for (number, batches) in orders.iter().enumerate() {
        let bench = Bench::new();
        let mut offset = 0;
        for batch in *batches {
            bench.handle(offset, batch).await;
            offset += i64::try_from(batch.len()).unwrap();
        }
        assert_eq!(bench.counts().await, (1, 0), "order {number}");
        // All of it again: with the same offsets, then with new ones.
        bench.handle(0, &batches.concat()).await;
        bench.handle(offset, &batches.concat()).await;
        assert_eq!(bench.counts().await, (1, 0), "order {number}, again");
    }
}

/// Runs `second`, as another process, at each request of `first` to the storage.
async fn interleave_everywhere(
    first: (i32, &[DownloadResult]),
    second: (i32, &[DownloadResult]),
    expected: [&[&str]; 2],
) {
    for point in 0.. {
        let bench = Bench::new();
        // The tables contain rows, so that every kind of request occurs.
        bench.handle(0, &[completed("x"), failed("y")]).await;
        let faults = Faults::new([]);
        let (one, two) = (bench.faulty(&faults), bench.another());
        let (partition, theirs) = (second.0, second.1.to_vec());
        let met = faults.at_request(point, async move {
            handle_of(partition, &two, 10, &theirs).await.unwrap();
        });
        handle_of(first.0, &one, 10, first.1).await.unwrap();
        if faults.is_waiting() {
            // Loading both tables, a file and a commit each, and the checks in between.
            assert!(point > 12, "too few points: {point}");
            break;
        }
        met.await.unwrap();
        assert_eq!(
            bench.media().await,
            expected.map(media_ids),
            "interleaved at request {point}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_and_a_failure_written_concurrently_leave_the_completion() {
    let (file, failure) = ([completed("a"), failed("c")], [failed("a"), completed("d")]);
    let expected: [&[&str]; 2] = [&["a", "d", "x"], &["c", "y"]];
    interleave_everywhere((0, &file), (1, &failure), expected).await;
    interleave_everywhere((0, &failure), (1, &file), expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_of_the_same_offsets_leave_one_row_of_each_attachment() {
    // The old owner has its batch from before the rebalance; the new owner has split the same records differently.
    let records = [failed("a"), completed("b"), completed("a"), failed("b"), failed("c")];
    let expected: [&[&str]; 2] = [&["a", "b", "x"], &["c", "y"]];
    interleave_everywhere((0, &records), (0, &records), expected).await;
    for cut in 1..records.len() {
        for point in (0..40).step_by(3) {
            let bench = Bench::new();
            let faults = Faults::new([]);
            let (old_owner, new_owner) = (bench.faulty(&faults), bench.another());
            let theirs = records.to_vec();
            let met = faults.at_request(point, async move {
                handle(&new_owner, 0, &theirs).await.unwrap();
            });
            handle(&old_owner, 0, &records[..cut]).await.unwrap();
            if faults.is_waiting() {
                break;
            }
            met.await.unwrap();
            assert_eq!(bench.counts().await, (2, 1), "cut at {cut}, request {point}");
        }
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_point_leaves_one_row_after_redelivery() {
    for batches in [
        [vec![failed("a"), completed("b")], vec![completed("a"), failed("b")]],
        [vec![completed("a"), failed("b")], vec![failed("a"), completed("b")]],
    ] {
        for point in 0.. {
            let bench = Bench::new();
            bench.handle(0, &batches[0]).await;
            let faults = Faults::new([]);
            faults.dies_at(point);
            let dying = handle(&bench.faulty(&faults), 2, &batches[1]).await;
            if !faults.is_dead() {
                dying.unwrap();
                // Loading both tables, a file and a commit each, and the checks in between.
                assert!(point > 12, "too few points: {point}");
                break;
            }
            handle(&bench.another(), 2, &batches[1]).await.unwrap();
            let expected = [media_ids(&["a", "b"]), vec![]];
            assert_eq!(bench.media().await, expected, "died at request {point}");
        }
    }
}

#[tokio::test]
async fn a_lost_response_to_any_of_the_commits_leaves_one_row() {
    for fault in Fault::RESOLVED {
        // Three commits: the attachments, the failures, and the removal of a failure.
        for commit in 0..3 {
            let bench = Bench::new();
            bench.handle(0, &[failed("a"), completed("x")]).await;
            let faults = Faults::new([]);
            faults.after_commits(commit, fault);
            let results = [completed("a"), failed("b")];
            handle(&bench.faulty(&faults), 2, &results).await.unwrap();
            assert_eq!(faults.pending(), 0, "{fault:?} happened");
            let expected = [media_ids(&["a", "x"]), media_ids(&["b"])];
            assert_eq!(bench.media().await, expected, "{fault:?} at commit {commit}");
        }
    }
}

#[tokio::test]
async fn an_unknown_commit_outcome_leaves_one_row_after_the_batch_is_retried() {
    for commit in 0..3 {
        let bench = Bench::new();
        bench.handle(0, &[failed("a"), completed("x")]).await;
        let faults = Faults::new([]);
        faults.after_commits(commit, Fault::ResponseLostAndUnreadable);
        let processor = bench.faulty(&faults);
        let results = [completed("a"), failed("b")];
        let unavailable = handle(&processor, 2, &results).await.unwrap_err();
        assert_eq!(unavailable.dependency, "delta");
        handle(&processor, 2, &results).await.unwrap();
        assert_eq!(bench.counts().await, (2, 1), "commit {commit}");
    }
}
