//! Damaged checkpoints: while the log entries exist, the table is read without them, and a new checkpoint is written.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;

use support::*;
use xact_lake::{AttachmentRow, Location, Table, TableOptions};

/// Creates a table of ten rows in ten commits, with checkpoints of versions 4 and 9.
async fn with_checkpoints(location: &Location) -> PathBuf {
    let options = TableOptions {
        checkpoint_every: 5,
        ..options()
    };
    let table = Table::new(location.clone(), options);
    for offset in 0..10 {
        add_offsets(&table, "k", offset..offset + 1).await;
    }
    log(location)
}

const NEWEST: &str = "00000000000000000009.checkpoint.parquet";

#[tokio::test]
async fn a_table_with_a_damaged_checkpoint_is_used_and_the_next_commit_writes_a_new_one() {
    for (damage, content) in [
        (NEWEST, Some(&b"PAR1 and no more"[..])),
        (NEWEST, Some(&[])),
        (NEWEST, None),
        ("_last_checkpoint", Some(br#"{"version":7,"size":3}"#)),
        ("_last_checkpoint", Some(br#"{"version":400,"size":3}"#)),
        ("_last_checkpoint", Some(b"")),
        ("_last_checkpoint", None),
    ] {
        let case = format!("{damage} {content:?}");
        let (_folder, location) = folder();
        let log = with_checkpoints(&location).await;
        // Without given content the file is truncated in the middle.
        let cut = || {
            let whole = std::fs::read(log.join(damage)).unwrap();
            whole[..whole.len() / 2].to_vec()
        };
        std::fs::write(log.join(damage), content.map_or_else(cut, <[u8]>::to_vec)).unwrap();
        let reader = table::<AttachmentRow>(&location);
        assert_eq!(texts(&reader, "media_id").await.len(), 10, "{case}");
        assert_eq!(add_offsets(&reader, "k", 8..12).await.0, 2, "{case}");
        assert_eq!(add_offsets(&table(&location), "k", 8..13).await.0, 1, "{case}");
        if content != Some(b"") && damage == NEWEST {
            let made = names_in(&log).into_iter().rfind(|name| name.contains(".checkpoint."));
            // A new checkpoint for other readers.
            assert!(made.is_some_and(|made| *made > *NEWEST), "{case}");
        }
    }
}

#[tokio::test]
async fn an_older_checkpoint_is_used_if_the_log_begins_with_it() {
    let (_folder, location) = folder();
    let log = with_checkpoints(&location).await;
    delete_log_entries(&location, 0..4);
    std::fs::write(log.join(NEWEST), b"not a checkpoint").unwrap();
    let table = table::<AttachmentRow>(&location);
    assert_eq!(add_offsets(&table, "k", 8..12).await.0, 2);
    assert_eq!(texts(&table, "media_id").await.len(), 12);
}

#[tokio::test]
async fn a_damaged_checkpoint_is_corrupt_if_the_entries_are_missing() {
    let (_folder, location) = folder();
    let log = with_checkpoints(&location).await;
    std::fs::remove_file(log.join("00000000000000000004.checkpoint.parquet")).unwrap();
    delete_log_entries(&location, 3..4);
    std::fs::write(log.join(NEWEST), b"not a checkpoint").unwrap();
    let table = table::<AttachmentRow>(&location);
    let error = table.append(sourced("k", 8..12), at(12)).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
}
