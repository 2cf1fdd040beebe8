//! Appends: which rows are added, and which are skipped.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashSet};

use jiff::civil::date;
use tokio::task::JoinSet;

use support::*;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, FailedRow, Key, Table, TableErrorKind, TableOptions};

#[tokio::test]
async fn redelivered_offsets_add_no_rows() {
    let (_folder, _, table) = new_table();
    assert_eq!(add_offsets(&table, "a", 0..10).await, (10, 0, 0));
    // Other keys, so that the offset alone decides.
    assert_eq!(add_offsets(&table, "b", 5..12).await, (2, 5, 0));
    assert_eq!(texts(&table, "media_id").await.len(), 12);
    assert_eq!(positions(&table).await, at(12));
}

#[tokio::test]
async fn a_batch_whose_rows_are_all_present_makes_no_commit() {
    let (_folder, location, table) = new_table::<AttachmentRow>();
    let first = table.append(sourced("a", 0..3), at(3)).await.unwrap();
    assert_eq!(first.version, Some(1));
    let again = table.append(sourced("a", 0..3), at(3)).await.unwrap();
    assert_eq!((counts(&again), again.version), ((0, 3, 0), None));
    let by_key = table.append(unsourced(attachments("a", 0..3)), none()).await.unwrap();
    assert_eq!((counts(&by_key), by_key.version), ((0, 0, 3), None));
    assert_eq!(log_entries(&location), 2);
    let files = data_files(&location);
    assert_eq!(files, 1, "nothing is written for rows that are not added");
}

#[tokio::test]
async fn a_key_is_added_once_in_a_batch_across_batches_across_handles_and_after_a_fresh_open() {
    let (_folder, location, one) = new_table::<AttachmentRow>();
    let two = table::<AttachmentRow>(&location);
    let mut twice = ["a", "b", "a"].map(attachment);
    twice[2].file_type = Some("SECOND".to_owned());
    assert_eq!(add(&one, twice).await, (2, 0, 1));
    let types = texts(&one, "file_type").await;
    assert_eq!(types, ["PDF", "PDF"], "the first of two is added");

    assert_eq!(add(&one, ["b", "c"].map(attachment)).await, (1, 0, 1));
    assert_eq!(add(&two, ["c", "d"].map(attachment)).await, (1, 0, 1));
    assert_eq!(add(&one, ["d", "e"].map(attachment)).await, (1, 0, 1));
    let fresh = table::<AttachmentRow>(&location);
    let all = ["a", "b", "c", "d", "e"];
    assert_eq!(add(&fresh, all.map(attachment)).await, (0, 0, 5));
    assert_eq!(texts(&fresh, "media_id").await, all);
}

#[tokio::test]
async fn two_messages_of_the_same_file_make_one_row() {
    let (_folder, _, table) = new_table::<AttachmentRow>();
    let message = |offset| vec![sourced_from(&APP.into(), offset, "a")];
    assert_eq!(counts(&table.append(message(4), at(5)).await.unwrap()), (1, 0, 0));
    let second = table.append(message(5), at(6)).await.unwrap();
    assert_eq!(counts(&second), (0, 0, 1));
    assert_eq!(second.version, None, "without a row there is no commit");
    assert_eq!(positions(&table).await, at(5));
}

#[tokio::test]
async fn one_key_on_two_dates_is_two_rows() {
    let (_folder, _, table) = new_table();
    let other = || attachment_of(date(2025, 1, 1), "a");
    assert_eq!(add(&table, [attachment("a"), other()]).await, (2, 0, 0));
    assert_eq!(add(&table, [other()]).await, (0, 0, 1));
    for (date, found) in [
        (DAY, HashSet::from([Key::new("a")])),
        (date(2025, 1, 2), HashSet::new()),
    ] {
        let keys = [Key::new("a"), Key::new("b")];
        assert_eq!(table.existing_keys(date, &keys).await.unwrap(), found);
    }
}

#[tokio::test]
async fn failures_of_different_replays_are_different_rows() {
    let (_folder, _, table) = new_table();
    let failures = |replays: &[i32]| replays.iter().map(|replay| failed("a", *replay)).collect::<Vec<_>>();
    assert_eq!(add(&table, failures(&[0, 1, 0])).await, (2, 0, 1));
    assert_eq!(add(&table, failures(&[1, 2])).await, (1, 0, 1));
    let wanted = [Key::with_replay("a", 2), Key::with_replay("a", 3), Key::new("a")];
    let found = table.existing_keys(DAY, &wanted).await.unwrap();
    assert_eq!(found, HashSet::from([Key::with_replay("a", 2)]));
}

#[tokio::test]
async fn a_batch_without_rows_makes_no_commit_and_the_next_commit_moves_the_position() {
    let (_folder, _, table) = new_table::<AttachmentRow>();
    assert_eq!(table.append(vec![], at(7)).await.unwrap().version, None);
    assert_eq!(table.info().await.unwrap(), None, "the table is not created");
    add_offsets(&table, "a", 5..9).await;
    assert_eq!(table.append(vec![], at(20)).await.unwrap().version, None);
    assert_eq!(positions(&table).await, at(9), "it does not move");
    // The records in between are redelivered: those with rows are skipped by offset, the others never had one.
    let redelivered = table.append(sourced("a", 5..9), at(20)).await.unwrap();
    assert_eq!(counts(&redelivered), (0, 4, 0));
    assert_eq!(add_offsets(&table, "a", 20..21).await, (1, 0, 0));
    assert_eq!(table.positions(&[APP.into(), "other".into()]).await.unwrap(), at(21));
}

#[tokio::test]
async fn an_append_never_moves_a_position_back() {
    let (_folder, _, table) = new_table::<AttachmentRow>();
    add_offsets(&table, "a", 5..9).await;
    table.append(unsourced([attachment("b")]), at(3)).await.unwrap();
    assert_eq!(positions(&table).await, at(9));
    table.set_positions(&at(3)).await.unwrap();
    assert_eq!(positions(&table).await, at(3), "only if it is set");
}

#[tokio::test]
async fn positions_of_several_partitions_move_in_one_commit() {
    let (_folder, location, one) = new_table::<AttachmentRow>();
    let apps: Vec<AppId> = (0..6).map(|partition| AppId::new("g", "t", partition)).collect();
    let next = |next: i64| apps.iter().map(|app| (app.clone(), next)).collect::<BTreeMap<_, _>>();
    one.set_positions(&next(5)).await.unwrap();
    one.set_positions(&next(6)).await.unwrap();
    assert_eq!(one.info().await.unwrap().unwrap().version, 2);
    // Another handle moves one of them; the first must notice through its cached positions.
    let two = table::<AttachmentRow>(&location);
    let moved = BTreeMap::from([(apps[3].clone(), 90)]);
    two.set_positions(&moved).await.unwrap();
    let rows = apps.iter().map(|app| sourced_from(app, 50, app.as_str())).collect();
    assert_eq!(counts(&one.append(rows, next(51)).await.unwrap()), (5, 1, 0));
    assert_eq!(one.positions(&apps).await.unwrap()[&apps[3]], 90);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_writers_with_overlapping_keys_leave_each_key_once() {
    let (_folder, location) = folder();
    let apps: Vec<AppId> = (0..6).map(|writer| AppId::new("g", "t", writer)).collect();
    let mut writers = JoinSet::new();
    for app in apps.clone() {
        let table = table::<AttachmentRow>(&location);
        writers.spawn(async move {
            let mut added = 0;
            for batch in 0..5_i64 {
                // Batch b of every writer has keys 8b to 8b+12: each overlaps with the next and with those of all others.
                let row = |n| sourced_from(&app, batch * 12 + n, &format!("key-{:03}", batch * 8 + n));
                let next = BTreeMap::from([(app.clone(), (batch + 1) * 12)]);
                added += table.append((0..12).map(row).collect(), next).await.unwrap().added;
            }
            added
        });
    }
    let added: usize = writers.join_all().await.into_iter().sum();
    let expected: Vec<String> = (0..44).map(|key| format!("key-{key:03}")).collect();
    let table = table::<AttachmentRow>(&location);
    assert_eq!(texts(&table, "media_id").await, expected);
    assert_eq!(added, 44, "the writers report what they added");
    assert!(table.positions(&apps).await.unwrap().values().all(|next| *next == 60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_that_create_the_table_at_once_all_succeed() {
    for _ in 0..5 {
        let (_folder, location) = folder();
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let table = table::<AttachmentRow>(&location);
            writers.spawn(async move { add(&table, attachments("by", [writer])).await });
        }
        assert_eq!(writers.join_all().await, [(1, 0, 0); 4]);
        let ids = texts(&table::<AttachmentRow>(&location), "media_id").await;
        assert_eq!(ids, ["by-0", "by-1", "by-2", "by-3"]);
    }
}

#[tokio::test]
async fn a_checkpoint_is_written_after_a_hundred_commits_and_readable_by_others() {
    let (_folder, location, one) = new_table();
    for n in 0..105 {
        add_offsets(&one, "a", n..n + 1).await;
    }
    let mut checkpoints = names_in(&log(&location));
    checkpoints.retain(|name| name.contains(".checkpoint."));
    assert_eq!(checkpoints, ["00000000000000000099.checkpoint.parquet"]);
    // The commits that the checkpoint covers are deleted, so that readers depend on it.
    delete_log_entries(&location, 0..99);
    let fresh = table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await.len(), 105);
    assert_eq!(positions(&fresh).await, at(105));
    assert_eq!(add(&fresh, attachments("a", 0..105)).await, (0, 0, 105));
}

#[tokio::test]
async fn a_checkpoint_that_a_crash_prevented_is_written_later() {
    let (_folder, location) = folder();
    let open = || {
        let checkpoint_every = 5;
        let options = TableOptions {
            checkpoint_every,
            ..options()
        };
        Table::<AttachmentRow>::new(location.clone(), options)
    };
    let one = open();
    for n in 0..5 {
        one.set_positions(&at(n + 1)).await.unwrap();
    }
    for lost in ["00000000000000000004.checkpoint.parquet", "_last_checkpoint"] {
        std::fs::remove_file(log(&location).join(lost)).unwrap();
    }
    open().set_positions(&at(6)).await.unwrap();
    assert!(log(&location).join("00000000000000000006.checkpoint.parquet").exists());
}

#[tokio::test]
async fn a_table_with_another_schema_is_refused_and_not_changed() {
    let (_folder, location, failures) = new_table::<FailedRow>();
    add(&failures, [failed("a", 0)]).await;
    let table = || table::<AttachmentRow>(&location);
    let appended = table().append(unsourced([attachment("a")]), none()).await;
    for error in [appended.unwrap_err(), table().probe().await.unwrap_err()] {
        let is_named = matches!(&error.kind, TableErrorKind::Schema(reason) if reason.contains("blob_path"));
        assert!(is_named && !error.is_transient(), "{error}");
    }
    assert_eq!(data_files(&location), 1);
}

#[tokio::test]
async fn a_damaged_log_is_reported_as_corrupt_and_a_missing_data_file_by_its_name() {
    for (lost, reported) in [("_delta_log", ""), ("event_date=2024-12-31", "event_date=2024-12-31/")] {
        let (_folder, location, writer) = new_table();
        add_offsets(&writer, "a", 0..1).await;
        if lost == "_delta_log" {
            std::fs::write(log(&location).join("00000000000000000001.json"), "{\"add\": {").unwrap();
        } else {
            std::fs::remove_dir_all(local(&location).join(lost)).unwrap();
        }
        let reader = table::<AttachmentRow>(&location);
        let error = reader.append(sourced("a", 1..2), at(2)).await.unwrap_err();
        let is_named = matches!(&error.kind, TableErrorKind::Corrupt(reason) if reason.contains(reported));
        assert!(is_named, "{lost}: {error}");
    }
}

#[tokio::test]
async fn a_folder_without_write_permission_is_reported_as_unavailable() {
    let (folder, _) = folder();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let location = local_location(&folder.path().join("file/table"));
    let table = || table::<AttachmentRow>(&location);
    let appended = table().append(sourced("a", 0..1), at(1)).await;
    for error in [appended.unwrap_err(), table().probe().await.unwrap_err()] {
        assert!(error.is_transient(), "{error}");
    }
}
