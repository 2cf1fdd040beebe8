//! What an append costs as a table grows: requests to OneLake, counted by the emulator. `tests/bench --only growth` measures
//! the same with large tables.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use jiff::ToSpan;
use jiff::civil::Date;

use support::*;
use xact_contracts::ids::AppId;
use xact_contracts::onelake_billing::BillingClass;
use xact_lake::{AttachmentRow, Location, Source, Sourced, Table, TableOptions};

/// Requests by class: write, read, other, iterative read, iterative write.
type Requests = [u64; 5];

/// What a table has before the append.
#[derive(Debug)]
struct Size {
    commits_since_checkpoint: usize,
    other_dates: usize,
    files_of_the_date: usize,
    app_ids: usize,
}

/// Creates a table of this size in the emulator's folder.
async fn create(location: &Location, size: &Size) {
    let options = TableOptions {
        checkpoint_every: u32::MAX,
        ..TableOptions::default()
    };
    let table: Table<AttachmentRow> = Table::new(location.clone(), options);
    let date = |number: usize| -> Date { DAY.checked_sub((number as i64 + 1).days()).unwrap() };
    add(&table, [attachment_of(date(5000), "first")]).await;
    if size.other_dates > 0 {
        add(
            &table,
            (0..size.other_dates).map(|number| attachment_of(date(number), "old")),
        )
        .await;
    }
    for file in 0..size.files_of_the_date {
        add(&table, [attachment(&format!("file-{file}"))]).await;
    }
    table.checkpoint().await.unwrap();
    for commit in 0..size.commits_since_checkpoint {
        add(&table, [attachment_of(date(6000), &format!("commit-{commit}"))]).await;
    }
}

/// Returns the requests of the first append of a process, and of the next one.
async fn requests(emulator: &Emulator, size: &Size) -> (Requests, Requests) {
    let name = format!(
        "Tables/of-{}-{}-{}-{}",
        size.commits_since_checkpoint, size.other_dates, size.files_of_the_date, size.app_ids
    );
    let location = emulator.location(&name);
    create(&local_location(&emulator.data(WORKSPACE).join(ITEM).join(&name)), size).await;
    let options = TableOptions {
        connection: emulator.connection(&location),
        ..TableOptions::default()
    };
    let table: Table<AttachmentRow> = Table::new(location, options);
    let mut counts = Vec::new();
    for batch in 0..2 {
        emulator.server.clear_requests();
        let app_id = |number: usize| AppId::new("xact-result-processor", "xact.downloads.results", number as i32);
        let sourced = |number: usize| Sourced {
            row: attachment(&format!("new-{batch}-{number}")),
            source: Some(Source {
                app_id: app_id(number),
                offset: batch,
            }),
        };
        let positions = (0..size.app_ids).map(|number| (app_id(number), batch + 1)).collect();
        table
            .append((0..size.app_ids).map(sourced).collect(), positions)
            .await
            .unwrap();
        let bill = emulator.server.bill();
        counts.push(
            BillingClass::ALL[..5]
                .iter()
                .map(|class| bill.of(*class).requests)
                .collect::<Vec<_>>(),
        );
    }
    let [first, second] = counts.try_into().unwrap();
    (first.try_into().unwrap(), second.try_into().unwrap())
}

/// A table has up to hundreds of log entries that no checkpoint has yet. The Delta kernel requests all of them at once.
#[tokio::test]
async fn opening_a_table_with_many_log_entries_opens_few_connections() {
    let emulator = start_emulator();
    let size = Size {
        commits_since_checkpoint: 150,
        other_dates: 0,
        files_of_the_date: 1,
        app_ids: 1,
    };
    let location = emulator.location("Tables/many");
    create(
        &local_location(&emulator.data(WORKSPACE).join(ITEM).join("Tables/many")),
        &size,
    )
    .await;
    let options = TableOptions {
        connection: emulator.connection(&location),
        ..TableOptions::default()
    };
    add(&Table::new(location, options), [attachment("new")]).await;
    let reads = emulator.server.bill().of(BillingClass::Read).requests;
    assert!(reads > 150, "{reads} reads");
    let connections = emulator.server.connections();
    assert!(connections <= 100, "{connections} connections");
}

/// A commit is two writes, at any size. Opening the table takes, once in a process: one request whether the table exists, a
/// listing, and a read each of `_last_checkpoint`, the checkpoint, the log entries since, and the files of the date. From 100
/// versions on, the first commit reads `_last_checkpoint` again.
#[tokio::test]
async fn a_commit_is_two_requests_at_any_size_and_opening_grows_with_the_log_and_the_date() {
    let emulator = start_emulator();
    for (commits, dates, files, app_ids, read) in [
        (1, 1, 1, 1, 4),
        (10, 1, 1, 1, 13),
        (90, 1, 1, 1, 93),
        (1, 100, 1, 1, 4),
        (1, 1, 10, 1, 13),
        (1, 1, 100, 1, 104),
        (1, 1, 1, 12, 4),
        (10, 1, 1, 12, 13),
    ] {
        let size = Size {
            commits_since_checkpoint: commits,
            other_dates: dates,
            files_of_the_date: files,
            app_ids,
        };
        let (first, next) = requests(&emulator, &size).await;
        assert_eq!(first, [2, read, 1, 1, 0], "{size:?}");
        assert_eq!(next, [2, 0, 0, 0, 0], "{size:?}");
    }
}
