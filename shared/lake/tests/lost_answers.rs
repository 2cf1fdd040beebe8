//! Commits whose request fails: committed, refused, or delayed. With any outcome there is one row each in the end.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use support::faulty_store::{Fault, Faults};
use support::*;
use xact_lake::{AttachmentRow, Table, TableOptions};

/// Appends two batches, the second with the faults; then checks that every row is there once.
async fn appends_once_despite(faults: &[Fault], positions: bool) {
    let (_folder, location) = folder();
    let plan = Faults::new([]);
    let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
    let next = |n| if positions { at(n) } else { none() };
    let rows = |offsets| {
        let rows = sourced("a", offsets);
        if positions {
            rows
        } else {
            unsourced(rows.into_iter().map(|sourced| sourced.row))
        }
    };
    table.append(rows(0..2), next(2)).await.unwrap();
    faults.iter().for_each(|fault| plan.add(*fault));

    let appended = table.append(rows(2..5), next(5)).await.unwrap();
    assert_eq!(
        (counts(&appended), appended.version),
        ((3, 0, 0), Some(2)),
        "{faults:?}"
    );
    assert_eq!(plan.pending(), 0, "every fault happened");
    assert_eq!(
        texts(&table, "media_id").await,
        ["a-0", "a-1", "a-2", "a-3", "a-4"],
        "{faults:?}"
    );
    assert_eq!(
        data_files(&location),
        2,
        "no file is left over, and none that is needed was deleted: {faults:?}"
    );
    assert_eq!(table.positions(&[APP.into()]).await.unwrap(), next(5));
    // The handle continues normally.
    assert_eq!(
        counts(&table.append(rows(3..6), next(6)).await.unwrap()),
        if positions { (1, 2, 0) } else { (1, 0, 2) }
    );
}

#[tokio::test]
async fn a_commit_whose_response_was_lost_is_not_repeated() {
    appends_once_despite(&[Fault::ResponseLost], true).await;
    appends_once_despite(&[Fault::ResponseLost], false).await;
}

#[tokio::test]
async fn a_commit_that_conflicts_with_its_own_first_copy_is_recognised() {
    appends_once_despite(&[Fault::ConflictWithItself], true).await;
    appends_once_despite(&[Fault::ConflictWithItself], false).await;
}

#[tokio::test]
async fn a_commit_that_was_refused_is_repeated() {
    appends_once_despite(&[Fault::Refused], true).await;
    appends_once_despite(&[Fault::Refused, Fault::Refused], false).await;
}

#[tokio::test]
async fn a_delayed_commit_is_not_duplicated_by_its_repetition() {
    appends_once_despite(&[Fault::Delayed], true).await;
    appends_once_despite(&[Fault::Delayed], false).await;
    appends_once_despite(&[Fault::Refused, Fault::Delayed], false).await;
}

#[tokio::test]
async fn a_commit_that_arrives_after_it_was_not_found_keeps_its_files() {
    appends_once_despite(&[Fault::CommittedAfterLookup], true).await;
    appends_once_despite(&[Fault::CommittedAfterLookup], false).await;
}

#[tokio::test]
async fn a_commit_that_is_found_in_the_log_keeps_its_files_even_if_the_rest_of_the_log_cannot_be_read() {
    appends_once_despite(&[Fault::CommittedAfterLookupThenUnreadable], true).await;
    appends_once_despite(&[Fault::CommittedAfterLookupThenUnreadable], false).await;
}

#[tokio::test]
async fn an_append_after_a_conflict_writes_files_again_only_if_its_rows_changed() {
    for (theirs, added, files_written) in [("c", 2, 1), ("a", 1, 2)] {
        let (_folder, location) = folder();
        let other = table::<AttachmentRow>(&location);
        other.append(unsourced([attachment("x")]), none()).await.unwrap();
        let plan = Faults::new([]);
        let one = Table::<AttachmentRow>::new(location.clone(), plan.options());
        plan.before_commit(async move {
            other.append(unsourced([attachment(theirs)]), none()).await.unwrap();
        });
        let appended = one.append(unsourced(["a", "b"].map(attachment)), none()).await.unwrap();
        assert_eq!(counts(&appended), (added, 0, 2 - added));
        assert_eq!(plan.writes().len(), files_written, "{theirs}");
        assert_eq!(data_files(&location), 3, "the file that was not used is gone");
        assert_eq!(texts(&one, "media_id").await.len(), 2 + added);
    }
}

#[tokio::test]
async fn an_append_whose_rows_another_writer_added_first_leaves_no_file() {
    let (_folder, location) = folder();
    let other = table::<AttachmentRow>(&location);
    other.set_positions(&at(1)).await.unwrap();
    let plan = Faults::new([]);
    let one = Table::<AttachmentRow>::new(location.clone(), plan.options());
    plan.before_commit(async move {
        other.append(sourced("a", 1..4), at(4)).await.unwrap();
    });
    let appended = one.append(sourced("a", 1..4), at(4)).await.unwrap();
    assert_eq!((counts(&appended), appended.version), ((0, 3, 0), None));
    assert_eq!(data_files(&location), 1);
    assert_eq!(texts(&one, "media_id").await, ["a-1", "a-2", "a-3"]);
}

#[tokio::test]
async fn an_append_that_always_conflicts_gives_up_and_deletes_its_files() {
    let (_folder, location) = folder();
    let other = table::<AttachmentRow>(&location);
    other.set_positions(&at(1)).await.unwrap();
    let plan = Faults::new([]);
    let options = TableOptions {
        conflict_attempts: 1,
        ..plan.options()
    };
    let one = Table::<AttachmentRow>::new(location.clone(), options);
    plan.before_commit(async move {
        other.set_positions(&at(2)).await.unwrap();
    });
    let error = one.append(unsourced([attachment("a")]), none()).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("committed first"),
        "{error}"
    );
    assert_eq!(plan.writes().len(), 1);
    assert_eq!(data_files(&location), 0);
}

#[tokio::test]
async fn a_commit_of_positions_survives_a_lost_response() {
    for fault in [
        Fault::ResponseLost,
        Fault::ConflictWithItself,
        Fault::Refused,
        Fault::Delayed,
    ] {
        let (_folder, location) = folder();
        let plan = Faults::new([fault]);
        let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
        table.set_positions(&at(9)).await.unwrap();
        assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(9));
        assert_eq!(
            log_files(&location)
                .iter()
                .filter(|name| name.ends_with(".json"))
                .count(),
            2
        );
    }
}

#[tokio::test]
async fn when_the_outcome_cannot_be_read_the_caller_may_repeat() {
    for positions in [true, false] {
        let (_folder, location) = folder();
        let plan = Faults::new([Fault::ResponseLostAndUnreadable]);
        let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
        let rows = || {
            if positions {
                sourced("a", 0..3)
            } else {
                unsourced(sourced("a", 0..3).into_iter().map(|s| s.row))
            }
        };
        let next = || if positions { at(3) } else { none() };
        let error = table.append(rows(), next()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        let again = table.append(rows(), next()).await.unwrap();
        assert_eq!(
            (counts(&again), again.version),
            (if positions { (0, 3, 0) } else { (0, 0, 3) }, None)
        );
        assert_eq!(
            texts(&table, "media_id").await,
            ["a-0", "a-1", "a-2"],
            "its data file is still there"
        );
    }
}

#[tokio::test]
async fn a_storage_that_keeps_refusing_is_reported_and_the_append_can_be_repeated() {
    let (_folder, location) = folder();
    let plan = Faults::new([Fault::Refused; 3]);
    let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
    let error = table.append(sourced("a", 0..3), at(3)).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
    assert_eq!(
        counts(&table.append(sourced("a", 0..3), at(3)).await.unwrap()),
        (3, 0, 0)
    );
    assert_eq!(texts(&table, "media_id").await, ["a-0", "a-1", "a-2"]);
}

#[tokio::test]
async fn a_commit_of_another_writer_is_not_mistaken_for_the_own_one() {
    for fault in [Fault::ResponseLost, Fault::Refused, Fault::Delayed] {
        let (_folder, location) = folder();
        let other = table::<AttachmentRow>(&location);
        other.append(unsourced([attachment("x")]), none()).await.unwrap();
        let plan = Faults::new([]);
        let one = Table::<AttachmentRow>::new(location.clone(), plan.options());
        one.append(unsourced([attachment("y")]), none()).await.unwrap();
        plan.add(fault);
        // Both add "a"; the second one must find the row of the first.
        let (mine, theirs) = tokio::join!(
            one.append(unsourced([attachment("a"), attachment("b")]), none()),
            other.append(unsourced([attachment("a"), attachment("c")]), none()),
        );
        assert_eq!(mine.unwrap().added + theirs.unwrap().added, 3, "{fault:?}");
        assert_eq!(texts(&one, "media_id").await, ["a", "b", "c", "x", "y"], "{fault:?}");
    }
}
