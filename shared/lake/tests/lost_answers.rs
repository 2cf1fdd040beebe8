//! Commits whose request fails: committed, refused, or delayed. With any outcome there is one row each in the end.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::ops::Range;

use support::faulty_store::{Fault, Faults};
use support::*;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, Sourced, Table, TableOptions};

/// How a batch that is appended again is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Offset,
    Key,
}

impl By {
    /// Returns the arguments of an append.
    fn batch(self, offsets: Range<i64>) -> (Vec<Sourced<AttachmentRow>>, BTreeMap<AppId, i64>) {
        match self {
            Self::Offset => (sourced("a", offsets.clone()), at(offsets.end)),
            Self::Key => (unsourced(attachments("a", offsets)), none()),
        }
    }

    /// Returns the counts of an append, some of whose rows are in the table already.
    fn counts(self, added: usize, skipped: usize) -> Counts {
        match self {
            Self::Offset => (added, skipped, 0),
            Self::Key => (added, 0, skipped),
        }
    }
}

#[tokio::test]
async fn a_commit_whose_request_failed_adds_each_row_once() {
    let cases: [&[Fault]; 8] = [
        &[Fault::ResponseLost],
        &[Fault::ConflictWithItself],
        &[Fault::Refused],
        &[Fault::Refused, Fault::Refused],
        &[Fault::Delayed],
        &[Fault::Refused, Fault::Delayed],
        &[Fault::CommittedAfterLookup],
        &[Fault::CommittedAfterLookupThenUnreadable],
    ];
    for (faults, by) in cases.into_iter().flat_map(|case| [(case, By::Offset), (case, By::Key)]) {
        let case = format!("{faults:?}, recognised by {by:?}");
        let (_folder, location) = folder();
        let (plan, table) = faulty(&location, []);
        let append = async |offsets| {
            let (rows, positions) = by.batch(offsets);
            table.append(rows, positions).await.unwrap()
        };
        append(0..2).await;
        faults.iter().for_each(|fault| plan.add(*fault));

        let appended = append(2..5).await;
        assert_eq!((counts(&appended), appended.version), ((3, 0, 0), Some(2)), "{case}");
        assert_eq!(plan.pending(), 0, "every fault happened: {case}");
        let there = texts(&table, "media_id").await;
        assert_eq!(there, ["a-0", "a-1", "a-2", "a-3", "a-4"], "{case}");
        // No file is left over, and none that is needed was deleted.
        assert_eq!(data_files(&location), 2, "{case}");
        assert_eq!(positions(&table).await, by.batch(0..5).1, "{case}");
        // The handle continues normally.
        assert_eq!(counts(&append(3..6).await), by.counts(1, 2), "{case}");
    }
}

#[tokio::test]
async fn an_append_after_a_conflict_writes_files_again_only_if_its_rows_changed() {
    for (theirs, added, files_written) in [("c", 2, 1), ("a", 1, 2)] {
        let (_folder, location, other) = new_table();
        add(&other, [attachment("x")]).await;
        let (plan, one) = faulty(&location, []);
        plan.before_commit(async move {
            add(&other, [attachment(theirs)]).await;
        });
        assert_eq!(add(&one, ["a", "b"].map(attachment)).await, (added, 0, 2 - added));
        assert_eq!(plan.writes().len(), files_written, "{theirs}");
        assert_eq!(data_files(&location), 3, "the file that was not used is gone");
        assert_eq!(texts(&one, "media_id").await.len(), 2 + added);
    }
}

#[tokio::test]
async fn an_append_whose_rows_another_writer_added_first_leaves_no_file() {
    let (_folder, location, other) = new_table();
    other.set_positions(&at(1)).await.unwrap();
    let (plan, one) = faulty(&location, []);
    plan.before_commit(async move {
        add_offsets(&other, "a", 1..4).await;
    });
    let appended = one.append(sourced("a", 1..4), at(4)).await.unwrap();
    assert_eq!((counts(&appended), appended.version), ((0, 3, 0), None));
    assert_eq!(data_files(&location), 1);
    assert_eq!(texts(&one, "media_id").await, ["a-1", "a-2", "a-3"]);
}

#[tokio::test]
async fn an_append_that_always_conflicts_gives_up_and_deletes_its_files() {
    let (_folder, location, other) = new_table::<AttachmentRow>();
    other.set_positions(&at(1)).await.unwrap();
    let plan = Faults::new([]);
    let options = TableOptions {
        conflict_attempts: 1,
        ..plan.options()
    };
    let one = Table::<AttachmentRow>::new(location.clone(), options);
    plan.before_commit(async move { other.set_positions(&at(2)).await.unwrap() });
    let error = one.append(unsourced([attachment("a")]), none()).await.unwrap_err();
    let is_named = error.to_string().contains("committed first");
    assert!(error.is_transient() && is_named, "{error}");
    assert_eq!((plan.writes().len(), data_files(&location)), (1, 0));
}

#[tokio::test]
async fn a_commit_of_positions_survives_a_lost_response() {
    for fault in Fault::RESOLVED {
        let (_folder, location) = folder();
        let (_, table) = faulty(&location, [fault]);
        table.set_positions(&at(9)).await.unwrap();
        assert_eq!(positions(&table).await, at(9), "{fault:?}");
        assert_eq!(log_entries(&location), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn when_the_outcome_cannot_be_read_the_caller_may_repeat() {
    for by in [By::Offset, By::Key] {
        let (_folder, location) = folder();
        let (_, table) = faulty(&location, [Fault::ResponseLostAndUnreadable]);
        let append = || {
            let (rows, positions) = by.batch(0..3);
            table.append(rows, positions)
        };
        let error = append().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        let again = append().await.unwrap();
        assert_eq!((counts(&again), again.version), (by.counts(0, 3), None));
        let there = texts(&table, "media_id").await;
        assert_eq!(there, ["a-0", "a-1", "a-2"], "its data file is still there");
    }
}

#[tokio::test]
async fn a_storage_that_keeps_refusing_is_reported_and_the_append_can_be_repeated() {
    let (_folder, location) = folder();
    let (_, table) = faulty(&location, [Fault::Refused; 3]);
    let error = table.append(sourced("a", 0..3), at(3)).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
    assert_eq!(add_offsets(&table, "a", 0..3).await, (3, 0, 0));
    assert_eq!(texts(&table, "media_id").await, ["a-0", "a-1", "a-2"]);
}

#[tokio::test]
async fn a_commit_of_another_writer_is_not_mistaken_for_the_own_one() {
    for fault in [Fault::ResponseLost, Fault::Refused, Fault::Delayed] {
        let (_folder, location, other) = new_table();
        add(&other, [attachment("x")]).await;
        let (plan, one) = faulty(&location, []);
        add(&one, [attachment("y")]).await;
        plan.add(fault);
        // Both add "a"; the second one must find the row of the first.
        let (mine, theirs) = tokio::join!(
            add(&one, ["a", "b"].map(attachment)),
            add(&other, ["a", "c"].map(attachment)),
        );
        assert_eq!(mine.0 + theirs.0, 3, "{fault:?}");
        assert_eq!(texts(&one, "media_id").await, ["a", "b", "c", "x", "y"], "{fault:?}");
    }
}
