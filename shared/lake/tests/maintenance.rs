//! Compaction, removal, vacuum and checkpoints: no other row changes, even with concurrent writers and crashes.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::date;

use support::faulty_store::{Fault, Faults};
use support::*;
use xact_lake::{AttachmentRow, FailedRow, Location, Removed, Table, TableErrorKind, VACUUM_RETENTION, Vacuum};

/// Larger than any table here.
const LARGE_TARGET: u64 = 128 * 1024 * 1024;

/// Returns a table of `batches` files with two rows each, from `a-0`.
async fn filled(location: &Location, batches: i64) -> Arc<Table<AttachmentRow>> {
    let table = table::<AttachmentRow>(location);
    for n in 0..batches {
        table
            .append(sourced("a", 2 * n..2 * n + 2), at(2 * n + 2))
            .await
            .unwrap();
    }
    table
}

fn names(range: std::ops::Range<i64>) -> Vec<String> {
    let mut names: Vec<String> = range.map(|n| format!("a-{n}")).collect();
    names.sort();
    names
}

fn ids(ids: &[&str]) -> BTreeMap<jiff::civil::Date, HashSet<Arc<str>>> {
    BTreeMap::from([(DAY, ids.iter().map(|id| Arc::from(*id)).collect())])
}

async fn files(table: &Table<AttachmentRow>) -> usize {
    table.info().await.unwrap().unwrap().files
}

#[tokio::test]
async fn a_compaction_keeps_rows_positions_and_keys() {
    let (_folder, location) = folder();
    let table = filled(&location, 10).await;
    let other_date = AttachmentRow {
        event_date: date(2025, 1, 1),
        ..attachment("b")
    };
    table.append(unsourced([other_date]), none()).await.unwrap();
    let before = table.scan(&[]).await.unwrap();
    let rows = |batches: &[xact_lake::arrow::array::RecordBatch]| -> usize {
        batches.iter().map(xact_lake::arrow::array::RecordBatch::num_rows).sum()
    };

    let mut told = 0;
    let commits = table.optimize(LARGE_TARGET, |_| told += 1).await.unwrap();
    assert_eq!((commits.len(), told), (1, 1), "a date with one file is not compacted");
    assert_eq!((commits[0].files_before, commits[0].files_after), (10, 1));
    assert_eq!(
        table.optimize(LARGE_TARGET, |_| ()).await.unwrap(),
        [],
        "nothing is left to compact"
    );

    let fresh = support::table::<AttachmentRow>(&location);
    let info = fresh.info().await.unwrap().unwrap();
    assert_eq!((info.files, info.rows, info.dates, info.small_files), (2, 21, 2, 0));
    assert_eq!(rows(&fresh.scan(&[]).await.unwrap()), rows(&before));
    assert_eq!(fresh.scan(&[]).await.unwrap()[0].schema(), before[0].schema());
    let mut expected = names(0..20);
    expected.push("b".to_owned());
    assert_eq!(texts(&fresh, "media_id").await, expected);
    assert_eq!(fresh.positions(&[APP.into()]).await.unwrap(), at(20));
    // By key alone, and through the handle that knows the old files.
    for table in [&fresh, &table] {
        let again = unsourced(sourced("a", 0..20).into_iter().map(|sourced| sourced.row));
        assert_eq!(counts(&table.append(again, none()).await.unwrap()), (0, 0, 20));
    }
}

#[tokio::test]
async fn a_lookup_in_a_compacted_file_uses_its_filter() {
    let (_folder, location) = folder();
    filled(&location, 10)
        .await
        .optimize(LARGE_TARGET, |_| ())
        .await
        .unwrap();
    let plan = Faults::new([]);
    let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
    table.append(unsourced([attachment("new")]), none()).await.unwrap();
    plan.reads();
    let keys: Vec<_> = (0..500).map(|n| xact_lake::Key::new(&format!("none {n}"))).collect();
    assert_eq!(table.existing_keys(DAY, &keys).await.unwrap(), HashSet::new());
    let compacted = plan.reads().into_iter().collect::<HashSet<_>>();
    assert!(
        compacted.len() <= 1,
        "only the file that came since is opened: {compacted:?}"
    );
}

#[tokio::test]
async fn files_are_compacted_to_the_target_size_and_large_ones_are_not_rewritten() {
    let (_folder, location) = folder();
    let table = filled(&location, 12).await;
    let info = table.info().await.unwrap().unwrap();
    let one = info.bytes / info.files as u64;
    // Four files make one of the target size.
    let commits = table.optimize(4 * one, |_| ()).await.unwrap();
    assert!(commits.len() >= 2, "{commits:?}");
    assert!(commits.iter().all(|commit| commit.files_before <= 5), "{commits:?}");
    assert_eq!(texts(&table, "media_id").await, names(0..24));
    let left = files(&table).await;
    assert_eq!(table.optimize(one, |_| ()).await.unwrap(), [], "no file is small");
    assert_eq!(files(&table).await, left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_and_a_removal_at_any_point_of_a_compaction_are_kept() {
    for point in 0.. {
        let (_folder, location) = folder();
        let other = filled(&location, 4).await;
        let faults = Faults::new([]);
        let one = Table::<AttachmentRow>::new(location.clone(), faults.options());
        let met = faults.at_request(point, async move {
            // One key is new, one is in a file that is being rewritten.
            let rows = unsourced(["new", "a-1"].map(attachment));
            other.append(rows, none()).await.unwrap();
            assert_eq!(other.remove(ids(&["a-2"])).await.unwrap().rows, 1);
        });
        one.optimize(LARGE_TARGET, |_| ()).await.unwrap();
        if faults.is_waiting() {
            assert!(point > 10, "there are many points: {point}");
            break;
        }
        met.await.unwrap();
        let mut expected = names(0..8);
        expected.retain(|name| name != "a-2");
        expected.push("new".to_owned());
        assert_eq!(texts(&one, "media_id").await, expected, "met at request {point}");
        assert_eq!(one.positions(&[APP.into()]).await.unwrap(), at(8));
    }
}

#[tokio::test]
async fn a_process_that_dies_in_a_compaction_or_removal_leaves_a_correct_table() {
    for removes in [false, true] {
        for point in 0.. {
            let (_folder, location) = folder();
            filled(&location, 3).await;
            let faults = Faults::new([]);
            faults.dies_at(point);
            let dying = Table::<AttachmentRow>::new(location.clone(), faults.options());
            let died = if removes {
                dying.remove(ids(&["a-1", "a-4"])).await.map(|_| ())
            } else {
                dying.optimize(LARGE_TARGET, |_| ()).await.map(|_| ())
            };
            if !faults.is_dead() {
                died.unwrap();
                assert!(point > 10, "there are many points: {point}");
                break;
            }
            let next = table::<AttachmentRow>(&location);
            let (all, mut kept) = (names(0..6), names(0..6));
            kept.retain(|name| !["a-1", "a-4"].contains(&name.as_str()));
            let there = texts(&next, "media_id").await;
            assert!(
                there == all || (removes && there == kept),
                "died at request {point}: {there:?}"
            );
            next.remove(ids(&["a-1", "a-4"])).await.unwrap();
            next.optimize(LARGE_TARGET, |_| ()).await.unwrap();
            assert_eq!(texts(&next, "media_id").await, kept, "died at request {point}");
            // Zero retention: there is no other writer.
            next.vacuum(Vacuum::delete(Duration::ZERO).allow_short_retention())
                .await
                .unwrap();
            assert_eq!(texts(&next, "media_id").await, kept, "vacuumed after {point}");
            assert_eq!(data_files(&location), files(&next).await, "no unused file is left");
        }
    }
}

#[tokio::test]
async fn a_lost_response_to_a_compaction_or_removal_is_resolved() {
    for fault in [
        Fault::ResponseLost,
        Fault::ConflictWithItself,
        Fault::Refused,
        Fault::Delayed,
        Fault::CommittedAfterLookup,
    ] {
        let (_folder, location) = folder();
        filled(&location, 3).await;
        let plan = Faults::new([fault]);
        let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
        let removed = table.remove(ids(&["a-1", "none"])).await.unwrap();
        assert_eq!(
            (plan.pending(), removed),
            (
                0,
                Removed {
                    rows: 1,
                    version: Some(4)
                }
            ),
            "{fault:?}"
        );
        plan.add(fault);
        let commits = table.optimize(LARGE_TARGET, |_| ()).await.unwrap();
        assert_eq!((plan.pending(), commits.len()), (0, 1), "{fault:?}");
        assert_eq!(
            texts(&table, "media_id").await,
            ["a-0", "a-2", "a-3", "a-4", "a-5"],
            "{fault:?}"
        );
        assert_eq!(table.info().await.unwrap().unwrap().version, 5, "{fault:?}");
        assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(6));
    }
}

#[tokio::test]
async fn a_removal_removes_every_replay_of_an_id_and_nothing_else() {
    let (_folder, location) = folder();
    let table = table::<FailedRow>(&location);
    let rows = [failed("a", 0), failed("a", 1), failed("b", 0)];
    table.append(unsourced(rows), none()).await.unwrap();
    table
        .append(unsourced([failed("a", 2), failed("c", 0)]), none())
        .await
        .unwrap();
    let other_date = FailedRow {
        event_date: date(2025, 1, 1),
        ..failed("a", 0)
    };
    table.append(unsourced([other_date]), none()).await.unwrap();
    assert_eq!(table.remove(ids(&["a"])).await.unwrap().rows, 3);
    assert_eq!(
        texts(&table, "media_id").await,
        ["a", "b", "c"],
        "the row of another date stays"
    );
    assert_eq!(
        table.remove(ids(&["a"])).await.unwrap(),
        Removed::default(),
        "nothing to remove, no commit"
    );
    assert_eq!(table.remove(ids(&["b", "c"])).await.unwrap().rows, 2);
    assert_eq!(texts(&table, "media_id").await, ["a"]);
}

#[tokio::test]
async fn a_removal_that_matches_nothing_reads_no_rows() {
    let (_folder, location) = folder();
    filled(&location, 5).await;
    let plan = Faults::new([]);
    let table = Table::<AttachmentRow>::new(location.clone(), plan.options());
    table.remove(ids(&["none"])).await.unwrap();
    plan.reads();
    table.remove(ids(&["none", "neither"])).await.unwrap();
    assert_eq!(plan.reads(), Vec::<String>::new(), "the filters are in memory");
    assert_eq!(plan.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn vacuum_lists_in_a_dry_run_deletes_on_request_and_keeps_young_files() {
    let (_folder, location) = folder();
    let table = filled(&location, 3).await;
    table.optimize(LARGE_TARGET, |_| ()).await.unwrap();
    assert_eq!(data_files(&location), 4);

    let none = table.vacuum(Vacuum::delete(VACUUM_RETENTION)).await.unwrap().unwrap();
    assert_eq!((none.files.len(), data_files(&location)), (0, 4), "the files are young");
    let refused = table
        .vacuum(Vacuum::delete(Duration::from_secs(3600)))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused.kind, TableErrorKind::Refused { reason } if reason.contains("168 h")),
        "{refused}"
    );
    let listed = table
        .vacuum(Vacuum::dry_run(Duration::ZERO).allow_short_retention())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (listed.files.len(), listed.is_done, data_files(&location)),
        (3, false, 4)
    );
    let deleted = table
        .vacuum(Vacuum::delete(Duration::ZERO).allow_short_retention())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((deleted.files, deleted.is_done), (listed.files, true));
    assert_eq!(data_files(&location), 1);
    assert_eq!(
        texts(&support::table::<AttachmentRow>(&location), "media_id").await,
        names(0..6)
    );
}

#[tokio::test]
async fn a_requested_checkpoint_is_enough_to_read_the_table() {
    let (_folder, location) = folder();
    let table = filled(&location, 3).await;
    table.optimize(LARGE_TARGET, |_| ()).await.unwrap();
    assert_eq!(table.checkpoint().await.unwrap(), Some(4));
    assert_eq!(table.clean_log().await.unwrap(), Some(0), "no entry is old enough");
    for version in 0..4 {
        let entry = format!("_delta_log/{version:020}.json");
        std::fs::remove_file(local(&location).join(entry)).unwrap();
    }
    let fresh = support::table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await, names(0..6));
    assert_eq!(fresh.positions(&[APP.into()]).await.unwrap(), at(6));
    assert_eq!(fresh.info().await.unwrap().unwrap().checkpoint, Some(4));
}

#[tokio::test]
async fn a_table_that_does_not_exist_has_nothing_to_maintain() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    assert_eq!(table.info().await.unwrap(), None);
    assert_eq!(table.optimize(LARGE_TARGET, |_| ()).await.unwrap(), []);
    assert_eq!(table.vacuum(Vacuum::delete(VACUUM_RETENTION)).await.unwrap(), None);
    assert_eq!(table.checkpoint().await.unwrap(), None);
    assert_eq!(table.remove(ids(&["a"])).await.unwrap(), Removed::default());
    assert!(!local(&location).exists(), "it is not created");
}
