//! Compaction, removal, vacuum and checkpoints: no other row changes, even with concurrent writers and crashes.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::date;

use support::faulty_store::Fault;
use support::*;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{
    AttachmentRow, Compacted, FailedRow, Key, Location, Removed, Table, TableErrorKind, VACUUM_RETENTION, Vacuum,
    Vacuumed,
};

/// Returns a table of `batches` files with two rows each, from `a-0`.
async fn filled(location: &Location, batches: i64) -> Arc<Table<AttachmentRow>> {
    let table = table(location);
    for n in 0..batches {
        add_offsets(&table, "a", 2 * n..2 * n + 2).await;
    }
    table
}

/// Compacts to files of a size that is larger than any table here.
async fn compact(table: &Table<AttachmentRow>) -> Vec<Compacted> {
    table.optimize(128 * 1024 * 1024, || false).await.unwrap()
}

/// Vacuums with any retention: there is no other writer.
async fn vacuum(table: &Table<AttachmentRow>, vacuum: Vacuum) -> Vacuumed {
    let vacuum = vacuum.allow_short_retention();
    table.vacuum(vacuum).await.unwrap().unwrap()
}

/// Returns the sorted ids of rows with these offsets, without some.
fn names(offsets: std::ops::Range<i64>, without: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = offsets.map(|n| format!("a-{n}")).collect();
    names.retain(|name| !without.contains(&name.as_str()));
    names.sort();
    names
}

async fn files(table: &Table<AttachmentRow>) -> usize {
    table.info().await.unwrap().unwrap().files
}

#[tokio::test]
async fn a_compaction_keeps_rows_positions_and_keys() {
    let (_folder, location) = folder();
    let table = filled(&location, 10).await;
    add(&table, [attachment_of(date(2025, 1, 1), "b")]).await;
    let before = table.scan(&[]).await.unwrap();
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();

    let nothing = table.optimize(128 << 20, || true).await.unwrap();
    assert_eq!(nothing, [], "it is enough before the first commit");
    let commits = table.optimize(128 << 20, || false).await.unwrap();
    // A date with one file is not compacted.
    assert_eq!(commits.len(), 1);
    assert_eq!((commits[0].files_before, commits[0].files_after), (10, 1));
    assert_eq!(compact(&table).await, [], "nothing is left to compact");

    let fresh = support::table::<AttachmentRow>(&location);
    let info = fresh.info().await.unwrap().unwrap();
    assert_eq!((info.files, info.rows, info.dates, info.small_files), (2, 21, 2, 0));
    let after = fresh.scan(&[]).await.unwrap();
    assert_eq!((rows(&after), after[0].schema()), (rows(&before), before[0].schema()));
    let mut expected = names(0..20, &[]);
    expected.push("b".to_owned());
    assert_eq!(texts(&fresh, "media_id").await, expected);
    assert_eq!(positions(&fresh).await, at(20));
    // By key alone, and through the handle that knows the old files.
    for table in [&fresh, &table] {
        assert_eq!(add(table, attachments("a", 0..20)).await, (0, 0, 20));
    }
}

#[tokio::test]
async fn a_lookup_in_a_compacted_file_uses_its_filter() {
    let (_folder, location) = folder();
    let writer = filled(&location, 10).await;
    compact(&writer).await;
    let (plan, table) = faulty(&location, []);
    add(&table, [attachment("new")]).await;
    plan.reads();
    let keys: Vec<_> = (0..500).map(|n| Key::new(&format!("none {n}"))).collect();
    assert_eq!(table.existing_keys(DAY, &keys).await.unwrap(), HashSet::new());
    let opened: HashSet<String> = plan.reads().into_iter().collect();
    assert!(opened.len() <= 1, "only the file that came since: {opened:?}");
}

#[tokio::test]
async fn files_are_compacted_to_the_target_size_and_large_ones_are_not_rewritten() {
    let (_folder, location) = folder();
    let table = filled(&location, 12).await;
    let info = table.info().await.unwrap().unwrap();
    let one = info.bytes / info.files as u64;
    // Four files make one of the target size.
    let commits = table.optimize(4 * one, || false).await.unwrap();
    let is_part = |commit: &Compacted| commit.files_before <= 5;
    assert!(commits.len() >= 2 && commits.iter().all(is_part), "{commits:?}");
    assert_eq!(texts(&table, "media_id").await, names(0..24, &[]));
    let left = files(&table).await;
    assert_eq!(table.optimize(one, || false).await.unwrap(), [], "no file is small");
    assert_eq!(files(&table).await, left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_and_a_removal_at_any_point_of_a_compaction_are_kept() {
    for point in 0.. {
        let (_folder, location) = folder();
        let other = filled(&location, 4).await;
        let (faults, one) = faulty(&location, []);
        let met = faults.at_request(point, async move {
            // One key is new, one is in a file that is being rewritten.
            add(&other, ["new", "a-1"].map(attachment)).await;
            assert_eq!(other.remove(ids(["a-2"])).await.unwrap().rows, 1);
        });
        compact(&one).await;
        if faults.is_waiting() {
            assert!(point > 10, "there are many points: {point}");
            break;
        }
        met.await.unwrap();
        let mut expected = names(0..8, &["a-2"]);
        expected.push("new".to_owned());
        assert_eq!(texts(&one, "media_id").await, expected, "met at request {point}");
        assert_eq!(positions(&one).await, at(8));
    }
}

#[tokio::test]
async fn a_process_that_dies_in_a_compaction_or_removal_leaves_a_correct_table() {
    let removed = || ids(["a-1", "a-4"]);
    let (all, kept) = (names(0..6, &[]), names(0..6, &["a-1", "a-4"]));
    for removes in [false, true] {
        for point in 0.. {
            let (_folder, location) = folder();
            filled(&location, 3).await;
            let (faults, dying) = faulty(&location, []);
            faults.dies_at(point);
            let died = if removes {
                dying.remove(removed()).await.map(|_| ())
            } else {
                dying.optimize(128 << 20, || false).await.map(|_| ())
            };
            if !faults.is_dead() {
                died.unwrap();
                assert!(point > 10, "there are many points: {point}");
                break;
            }
            let next = table::<AttachmentRow>(&location);
            let there = texts(&next, "media_id").await;
            let is_correct = there == all || (removes && there == kept);
            assert!(is_correct, "died at request {point}: {there:?}");
            next.remove(removed()).await.unwrap();
            compact(&next).await;
            assert_eq!(texts(&next, "media_id").await, kept, "died at request {point}");
            vacuum(&next, Vacuum::delete(Duration::ZERO)).await;
            assert_eq!(texts(&next, "media_id").await, kept, "vacuumed after {point}");
            assert_eq!(data_files(&location), files(&next).await, "no unused file is left");
        }
    }
}

#[tokio::test]
async fn a_lost_response_to_a_compaction_or_removal_is_resolved() {
    for fault in Fault::RESOLVED {
        let (_folder, location) = folder();
        filled(&location, 3).await;
        let (plan, table) = faulty(&location, [fault]);
        let (rows, version) = (1, Some(4));
        let removed = table.remove(ids(["a-1", "none"])).await.unwrap();
        assert_eq!((plan.pending(), removed), (0, Removed { rows, version }), "{fault:?}");
        plan.add(fault);
        let commits = compact(&table).await;
        assert_eq!((plan.pending(), commits.len()), (0, 1), "{fault:?}");
        let there = texts(&table, "media_id").await;
        assert_eq!(there, ["a-0", "a-2", "a-3", "a-4", "a-5"], "{fault:?}");
        assert_eq!(table.info().await.unwrap().unwrap().version, 5, "{fault:?}");
        assert_eq!(positions(&table).await, at(6));
    }
}

#[tokio::test]
async fn a_removal_removes_every_replay_of_an_id_and_nothing_else() {
    let (_folder, _, table) = new_table();
    add(&table, [failed("a", 0), failed("a", 1), failed("b", 0)]).await;
    add(&table, [failed("a", 2), failed("c", 0)]).await;
    let other_date = FailedRow {
        event_date: date(2025, 1, 1),
        ..failed("a", 0)
    };
    add(&table, [other_date]).await;
    let remove = async |removed: &[&'static str]| table.remove(ids(removed.iter().copied())).await.unwrap();
    assert_eq!(remove(&["a"]).await.rows, 3);
    let left = texts(&table, "media_id").await;
    assert_eq!(left, ["a", "b", "c"], "the row of another date stays");
    assert_eq!(remove(&["a"]).await, Removed::default(), "no commit");
    assert_eq!(remove(&["b", "c"]).await.rows, 2);
    assert_eq!(texts(&table, "media_id").await, ["a"]);
}

#[tokio::test]
async fn a_removal_that_matches_nothing_reads_no_rows() {
    let (_folder, location) = folder();
    filled(&location, 5).await;
    let (plan, table) = faulty(&location, []);
    table.remove(ids(["none"])).await.unwrap();
    plan.reads();
    table.remove(ids(["none", "neither"])).await.unwrap();
    assert_eq!(plan.reads(), [""; 0], "the filters are in memory");
    assert_eq!(plan.writes(), [""; 0]);
}

#[tokio::test]
async fn vacuum_lists_in_a_dry_run_deletes_on_request_and_keeps_young_files() {
    let (_folder, location) = folder();
    let table = filled(&location, 3).await;
    compact(&table).await;
    assert_eq!(data_files(&location), 4);

    let young = table.vacuum(Vacuum::delete(VACUUM_RETENTION)).await.unwrap();
    assert_eq!((young.unwrap().files.len(), data_files(&location)), (0, 4));
    let hour = Vacuum::delete(Duration::from_secs(3600));
    let refused = table.vacuum(hour).await.unwrap_err();
    let is_named = matches!(&refused.kind, TableErrorKind::Refused(reason) if reason.contains("168 h"));
    assert!(is_named, "{refused}");
    let listed = vacuum(&table, Vacuum::dry_run(Duration::ZERO)).await;
    assert_eq!((listed.files.len(), listed.is_done), (3, false));
    assert_eq!(data_files(&location), 4);
    let deleted = vacuum(&table, Vacuum::delete(Duration::ZERO)).await;
    assert_eq!((deleted.files, deleted.is_done), (listed.files, true));
    assert_eq!(data_files(&location), 1);
    let fresh = support::table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await, names(0..6, &[]));
}

#[tokio::test]
async fn a_requested_checkpoint_is_enough_to_read_the_table() {
    let (_folder, location) = folder();
    let table = filled(&location, 3).await;
    compact(&table).await;
    assert_eq!(table.checkpoint().await.unwrap(), Some(4));
    assert_eq!(table.clean_log().await.unwrap(), Some(0), "no entry is old enough");
    delete_log_entries(&location, 0..4);
    let fresh = support::table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await, names(0..6, &[]));
    assert_eq!(positions(&fresh).await, at(6));
    assert_eq!(fresh.info().await.unwrap().unwrap().checkpoint, Some(4));
}

#[tokio::test]
async fn what_is_planned_is_what_is_done() {
    let (folder, location) = folder();
    let table = filled(&location, 5).await;
    let month_ago = std::time::SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
    for entry in log_entries(folder.path()) {
        let entry = std::fs::File::options().write(true).open(entry).unwrap();
        entry.set_modified(month_ago).unwrap();
    }
    let planned = table.plan_optimize(128 << 20).await.unwrap();
    let expired = table.plan_clean_log(planned.len() as u64).await.unwrap();
    assert_eq!((planned.len(), planned[0].files, expired), (1, 5, Some(6)));
    assert_eq!(log_entries(folder.path()).len(), 6, "a plan writes nothing");

    let commits = compact(&table).await;
    let done: Vec<_> = commits
        .iter()
        .map(|commit| (commit.date, commit.files_before, commit.bytes_before))
        .collect();
    let planned: Vec<_> = planned.iter().map(|part| (part.date, part.files, part.bytes)).collect();
    assert_eq!(done, planned);
    assert_eq!(table.clean_log().await.unwrap(), Some(0), "no checkpoint covers them");
    table.checkpoint().await.unwrap();
    assert_eq!(table.clean_log().await.unwrap(), expired);
    let fresh = support::table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await, names(0..10, &[]));
    assert_eq!(fresh.plan_optimize(128 << 20).await.unwrap(), []);
}

/// Returns the entries of the log of the table in a folder.
fn log_entries(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_table_that_does_not_exist_has_nothing_to_maintain() {
    let (_folder, location, table) = new_table::<AttachmentRow>();
    assert_eq!(table.info().await.unwrap(), None);
    assert_eq!(compact(&table).await, []);
    assert_eq!(table.vacuum(Vacuum::delete(VACUUM_RETENTION)).await.unwrap(), None);
    assert_eq!(table.checkpoint().await.unwrap(), None);
    assert_eq!(table.remove(ids(["a"])).await.unwrap(), Removed::default());
    assert!(!local(&location).exists(), "it is not created");
}
