//! Appends: which rows are added, and which are skipped.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashSet};

use jiff::civil::date;

use support::*;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, Key, Source, Sourced, TableErrorKind, TableOptions};

#[tokio::test]
async fn redelivered_offsets_add_no_rows() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    let first = table.append(sourced("a", 0..10), at(10)).await.unwrap();
    assert_eq!(counts(&first), (10, 0, 0));
    // Other keys, so that the offset alone decides.
    let again = table.append(sourced("b", 5..12), at(12)).await.unwrap();
    assert_eq!(counts(&again), (2, 5, 0));
    assert_eq!(texts(&table, "media_id").await.len(), 12);
    assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(12));
}

#[tokio::test]
async fn a_batch_whose_rows_are_all_present_makes_no_commit() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    let first = table.append(sourced("a", 0..3), at(3)).await.unwrap();
    assert_eq!(first.version, Some(1));
    let again = table.append(sourced("a", 0..3), at(3)).await.unwrap();
    assert_eq!((counts(&again), again.version), ((0, 3, 0), None));
    let by_key = table
        .append(unsourced(sourced("a", 0..3).into_iter().map(|s| s.row)), none())
        .await
        .unwrap();
    assert_eq!((counts(&by_key), by_key.version), ((0, 0, 3), None));
    assert_eq!(
        log_files(&location)
            .iter()
            .filter(|name| name.ends_with(".json"))
            .count(),
        2
    );
    assert_eq!(
        data_files(&location),
        1,
        "nothing is written for rows that are not added"
    );
}

#[tokio::test]
async fn a_key_is_added_once_in_a_batch_across_batches_across_handles_and_after_a_fresh_open() {
    let (_folder, location) = folder();
    let one = table::<AttachmentRow>(&location);
    let two = table::<AttachmentRow>(&location);

    let mut twice = vec![attachment("a"), attachment("b"), attachment("a")];
    twice[2].file_type = Some("SECOND".to_owned());
    assert_eq!(counts(&one.append(unsourced(twice), none()).await.unwrap()), (2, 0, 1));
    assert_eq!(
        texts(&one, "file_type").await,
        ["PDF", "PDF"],
        "the first of two is added"
    );

    assert_eq!(
        counts(
            &one.append(unsourced([attachment("b"), attachment("c")]), none())
                .await
                .unwrap()
        ),
        (1, 0, 1)
    );
    assert_eq!(
        counts(
            &two.append(unsourced([attachment("c"), attachment("d")]), none())
                .await
                .unwrap()
        ),
        (1, 0, 1)
    );
    assert_eq!(
        counts(
            &one.append(unsourced([attachment("d"), attachment("e")]), none())
                .await
                .unwrap()
        ),
        (1, 0, 1)
    );
    let fresh = table::<AttachmentRow>(&location);
    let all = ["a", "b", "c", "d", "e"].map(attachment);
    assert_eq!(counts(&fresh.append(unsourced(all), none()).await.unwrap()), (0, 0, 5));
    assert_eq!(texts(&fresh, "media_id").await, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn two_messages_of_the_same_file_make_one_row() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    let message = |offset| {
        vec![Sourced {
            row: attachment("a"),
            source: Some(Source {
                app_id: APP.into(),
                offset,
            }),
        }]
    };
    assert_eq!(counts(&table.append(message(4), at(5)).await.unwrap()), (1, 0, 0));
    let second = table.append(message(5), at(6)).await.unwrap();
    assert_eq!(counts(&second), (0, 0, 1));
    assert_eq!(second.version, None, "without a row there is no commit");
    assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(5));
}

#[tokio::test]
async fn one_key_on_two_dates_is_two_rows() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    let other = AttachmentRow {
        event_date: date(2025, 1, 1),
        ..attachment("a")
    };
    assert_eq!(
        counts(
            &table
                .append(unsourced([attachment("a"), other.clone()]), none())
                .await
                .unwrap()
        ),
        (2, 0, 0)
    );
    assert_eq!(
        counts(&table.append(unsourced([other]), none()).await.unwrap()),
        (0, 0, 1)
    );
    let keys = [Key::new("a"), Key::new("b")];
    assert_eq!(
        table.existing_keys(DAY, &keys).await.unwrap(),
        HashSet::from([Key::new("a")])
    );
    assert_eq!(
        table.existing_keys(date(2025, 1, 2), &keys).await.unwrap(),
        HashSet::new()
    );
}

#[tokio::test]
async fn failures_of_different_replays_are_different_rows() {
    let (_folder, location) = folder();
    let table = table(&location);
    assert_eq!(
        counts(
            &table
                .append(unsourced([failed("a", 0), failed("a", 1), failed("a", 0)]), none())
                .await
                .unwrap()
        ),
        (2, 0, 1)
    );
    assert_eq!(
        counts(
            &table
                .append(unsourced([failed("a", 1), failed("a", 2)]), none())
                .await
                .unwrap()
        ),
        (1, 0, 1)
    );
    let wanted = [Key::with_replay("a", 2), Key::with_replay("a", 3), Key::new("a")];
    assert_eq!(
        table.existing_keys(DAY, &wanted).await.unwrap(),
        HashSet::from([Key::with_replay("a", 2)])
    );
}

#[tokio::test]
async fn a_batch_without_rows_makes_no_commit_and_the_next_commit_moves_the_position() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    assert_eq!(table.append(vec![], at(7)).await.unwrap().version, None);
    assert_eq!(table.info().await.unwrap(), None, "the table is not created");
    table.append(sourced("a", 5..9), at(9)).await.unwrap();
    assert_eq!(table.append(vec![], at(20)).await.unwrap().version, None);
    assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(9), "it does not move");
    // The records in between are redelivered: those with rows are skipped by offset, the others never had one.
    assert_eq!(
        counts(&table.append(sourced("a", 5..9), at(20)).await.unwrap()),
        (0, 4, 0)
    );
    assert_eq!(
        counts(&table.append(sourced("a", 20..21), at(21)).await.unwrap()),
        (1, 0, 0)
    );
    assert_eq!(table.positions(&[APP.into(), "other".into()]).await.unwrap(), at(21));
}

#[tokio::test]
async fn an_append_never_moves_a_position_back() {
    let (_folder, location) = folder();
    let table = table::<AttachmentRow>(&location);
    table.append(sourced("a", 5..9), at(9)).await.unwrap();
    table.append(unsourced([attachment("b")]), at(3)).await.unwrap();
    assert_eq!(table.positions(&[APP.into()]).await.unwrap(), at(9));
    table.set_positions(&at(3)).await.unwrap();
    assert_eq!(
        table.positions(&[APP.into()]).await.unwrap(),
        at(3),
        "only if it is set"
    );
}

#[tokio::test]
async fn positions_of_several_partitions_move_in_one_commit() {
    let (_folder, location) = folder();
    let one = table::<AttachmentRow>(&location);
    let apps: Vec<AppId> = (0..6).map(|partition| AppId::new("g", "t", partition)).collect();
    let next = |next: i64| {
        apps.iter()
            .cloned()
            .zip(std::iter::repeat(next))
            .collect::<BTreeMap<_, _>>()
    };
    one.set_positions(&next(5)).await.unwrap();
    one.set_positions(&next(6)).await.unwrap();
    assert_eq!(one.info().await.unwrap().unwrap().version, 2);
    // Another handle moves one of them; the first must notice through its cached positions.
    let two = table::<AttachmentRow>(&location);
    two.set_positions(&BTreeMap::from([(apps[3].clone(), 90)]))
        .await
        .unwrap();
    let row = |app: &AppId| Sourced {
        row: attachment(app.as_str()),
        source: Some(Source {
            app_id: app.clone(),
            offset: 50,
        }),
    };
    assert_eq!(
        counts(&one.append(apps.iter().map(row).collect(), next(51)).await.unwrap()),
        (5, 1, 0)
    );
    assert_eq!(one.positions(&apps).await.unwrap()[&apps[3]], 90);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_writers_with_overlapping_keys_leave_each_key_once() {
    let (_folder, location) = folder();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6_i64 {
        let table = table::<AttachmentRow>(&location);
        writers.spawn(async move {
            let mut added = 0;
            for batch in 0..5_i64 {
                // Batch b of every writer has keys 8b to 8b+12: each overlaps with the next and with those of all others.
                let rows = (batch * 8..batch * 8 + 12).map(|key| attachment(&format!("key-{key:03}")));
                let app = AppId::new("g", "t", i32::try_from(writer).unwrap());
                let rows: Vec<_> = rows
                    .enumerate()
                    .map(|(i, row)| Sourced {
                        row,
                        source: Some(Source {
                            app_id: app.clone(),
                            offset: batch * 12 + i as i64,
                        }),
                    })
                    .collect();
                added += table
                    .append(rows, BTreeMap::from([(app, (batch + 1) * 12)]))
                    .await
                    .unwrap()
                    .added;
            }
            added
        });
    }
    let added: usize = writers.join_all().await.into_iter().sum();
    let expected: Vec<String> = (0..44).map(|key| format!("key-{key:03}")).collect();
    let table = table::<AttachmentRow>(&location);
    assert_eq!(texts(&table, "media_id").await, expected);
    assert_eq!(added, 44, "the writers report what they added");
    let apps: Vec<AppId> = (0..6).map(|writer| AppId::new("g", "t", writer)).collect();
    assert!(table.positions(&apps).await.unwrap().values().all(|next| *next == 60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_that_create_the_table_at_once_all_succeed() {
    for _ in 0..5 {
        let (_folder, location) = folder();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let table = table::<AttachmentRow>(&location);
            writers.spawn(async move {
                table
                    .append(unsourced([attachment(&format!("{writer}"))]), none())
                    .await
                    .unwrap()
            });
        }
        assert!(writers.join_all().await.iter().all(|appended| appended.added == 1));
        assert_eq!(
            texts(&table::<AttachmentRow>(&location), "media_id").await,
            ["0", "1", "2", "3"]
        );
    }
}

#[tokio::test]
async fn a_checkpoint_is_written_after_a_hundred_commits_and_readable_by_others() {
    let (_folder, location) = folder();
    let one = table::<AttachmentRow>(&location);
    for n in 0..105 {
        one.append(sourced("a", n..n + 1), at(n + 1)).await.unwrap();
    }
    let checkpoints: Vec<String> = log_files(&location)
        .into_iter()
        .filter(|name| name.contains(".checkpoint."))
        .collect();
    assert_eq!(checkpoints, ["00000000000000000099.checkpoint.parquet"]);
    // The commits that the checkpoint covers are deleted, so that readers depend on it.
    for version in 0..99 {
        std::fs::remove_file(local(&location).join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    let fresh = table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await.len(), 105);
    assert_eq!(fresh.positions(&[APP.into()]).await.unwrap(), at(105));
    assert_eq!(
        counts(
            &fresh
                .append(unsourced(sourced("a", 0..105).into_iter().map(|s| s.row)), none())
                .await
                .unwrap()
        ),
        (0, 0, 105)
    );
}

#[tokio::test]
async fn a_checkpoint_that_a_crash_prevented_is_written_later() {
    let (_folder, location) = folder();
    let options = TableOptions {
        checkpoint_every: 5,
        ..options()
    };
    let one = xact_lake::Table::<AttachmentRow>::new(location.clone(), options.clone());
    for n in 0..5 {
        one.set_positions(&at(n + 1)).await.unwrap();
    }
    let log = local(&location).join("_delta_log");
    std::fs::remove_file(log.join("00000000000000000004.checkpoint.parquet")).unwrap();
    std::fs::remove_file(log.join("_last_checkpoint")).unwrap();
    let next = xact_lake::Table::<AttachmentRow>::new(location.clone(), options);
    next.set_positions(&at(6)).await.unwrap();
    assert!(log_files(&location).contains(&"00000000000000000006.checkpoint.parquet".to_owned()));
}

#[tokio::test]
async fn a_table_with_another_schema_is_refused_and_not_changed() {
    let (_folder, location) = folder();
    table(&location)
        .append(unsourced([failed("a", 0)]), none())
        .await
        .unwrap();
    let error = table::<AttachmentRow>(&location)
        .append(unsourced([attachment("a")]), none())
        .await
        .unwrap_err();
    assert!(
        matches!(&error.kind, TableErrorKind::Schema { reason } if reason.contains("blob_path")),
        "{error}"
    );
    assert!(!error.is_transient());
    assert!(matches!(
        table::<AttachmentRow>(&location).probe().await.unwrap_err().kind,
        TableErrorKind::Schema { .. }
    ));
    assert_eq!(data_files(&location), 1);
}

#[tokio::test]
async fn a_damaged_log_is_reported_as_corrupt_and_not_written_to() {
    let (_folder, location) = folder();
    table::<AttachmentRow>(&location)
        .append(sourced("a", 0..1), at(1))
        .await
        .unwrap();
    std::fs::write(
        local(&location).join("_delta_log/00000000000000000001.json"),
        "{\"add\": {",
    )
    .unwrap();
    let error = table::<AttachmentRow>(&location)
        .append(sourced("a", 1..2), at(2))
        .await
        .unwrap_err();
    assert!(matches!(error.kind, TableErrorKind::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_data_file_is_reported_by_name() {
    let (_folder, location) = folder();
    table::<AttachmentRow>(&location)
        .append(sourced("a", 0..1), at(1))
        .await
        .unwrap();
    std::fs::remove_dir_all(local(&location).join("event_date=2024-12-31")).unwrap();
    let error = table::<AttachmentRow>(&location)
        .append(sourced("a", 1..2), at(2))
        .await
        .unwrap_err();
    assert!(
        matches!(&error.kind, TableErrorKind::Corrupt { reason } if reason.contains("event_date=2024-12-31/")),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_without_write_permission_is_reported_as_unavailable() {
    let (folder, _) = folder();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let location = xact_lake::Location::parse(folder.path().to_str().unwrap())
        .unwrap()
        .join("file/table")
        .unwrap();
    for error in [
        table::<AttachmentRow>(&location)
            .append(sourced("a", 0..1), at(1))
            .await
            .unwrap_err(),
        table::<AttachmentRow>(&location).probe().await.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error}");
    }
}
