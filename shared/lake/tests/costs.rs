//! Costs of files and commits in OneLake: requests and CU seconds, counted by the emulator.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use onelake_emulator::Area;
use support::{Emulator, add, add_offsets, at, failed, ids, positions, sourced, start_emulator};
use xact_contracts::onelake_billing::{Bill, BillingClass};
use xact_lake::{AttachmentRow, Content, FailedRow, FileSource, Table, TableOptions, TableRow, open};

const MIB: usize = 1024 * 1024;

/// Requests by class: write, read, other, iterative read, iterative write.
fn requests(bill: &Bill) -> [u64; 5] {
    let classes = BillingClass::ALL[..5].iter();
    let counts: Vec<u64> = classes.map(|class| bill.of(*class).requests).collect();
    counts.try_into().unwrap()
}

/// Returns the requests that the emulator received during some work.
async fn requests_of<T>(emulator: &Emulator, work: impl Future<Output = T>) -> [u64; 5] {
    emulator.server.clear_requests();
    work.await;
    requests(&emulator.server.bill())
}

/// Returns the client's own bill.
async fn put(emulator: &Emulator, path: &str, bytes: &[u8]) -> Bill {
    let location = emulator.location("Files");
    let connection = emulator.connection(&location);
    let store = open(&location, &connection).unwrap();
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(bytes).unwrap();
    let sha256 = hex::encode(Sha256::digest(bytes));
    let content = Content {
        bytes: bytes.len() as u64,
        sha256: &sha256,
    };
    store
        .put_file(path, FileSource::File(Arc::new(source)), content)
        .await
        .unwrap();
    connection.bill().unwrap()
}

fn table<R: TableRow>(emulator: &Emulator) -> Table<R> {
    let location = emulator.location("Tables/costs");
    let options = TableOptions {
        connection: emulator.connection(&location),
        ..TableOptions::default()
    };
    Table::new(location, options)
}

#[tokio::test]
async fn a_file_of_up_to_4_mib_is_one_write() {
    let emulator = start_emulator();
    for bytes in [0, 100_000, 4 * MIB] {
        emulator.server.clear_requests();
        let counted = put(&emulator, &format!("new/folders/{bytes}"), &vec![7; bytes]).await;
        let bill = emulator.server.bill();
        assert_eq!(requests(&bill), [1, 0, 0, 0, 0], "{bytes}");
        assert_eq!(bill.total().micro_cu_seconds, 162_600, "{bytes}");
        assert_eq!(counted, bill, "the client counts the same");
    }
}

#[tokio::test]
async fn a_repeated_upload_is_one_refused_write_and_one_property_request() {
    let emulator = start_emulator();
    put(&emulator, "x", b"content").await;
    let repeated = requests_of(&emulator, put(&emulator, "x", b"content")).await;
    assert_eq!(repeated, [1, 0, 1, 0, 0]);
    let replaced = requests_of(&emulator, put(&emulator, "x", b"another")).await;
    assert_eq!(replaced, [2, 0, 1, 0, 0], "it is replaced by one more write");
}

#[tokio::test]
async fn a_large_file_is_a_write_for_each_block_and_one_for_the_list() {
    let emulator = start_emulator();
    let counted = put(&emulator, "x", &vec![7; 10 * MIB]).await;
    assert_eq!(requests(&emulator.server.bill()), [4, 0, 1, 0, 0]);
    assert_eq!(counted, emulator.server.bill(), "the client counts the same");
    let repeated = requests_of(&emulator, put(&emulator, "x", &vec![7; 10 * MIB])).await;
    assert_eq!(repeated, [0, 0, 1, 0, 0], "it is there: no block is sent");
}

#[tokio::test]
async fn a_commit_of_one_owner_is_two_requests() {
    let emulator = start_emulator();
    let table = table(&emulator);
    add_offsets(&table, "a", 0..10).await;
    for batch in 1..20 {
        let commit = add_offsets(&table, "a", batch * 10..batch * 10 + 10);
        assert_eq!(requests_of(&emulator, commit).await, [2, 0, 0, 0, 0], "{batch}");
    }
    let without_rows = async {
        table.append(vec![], at(1000)).await.unwrap();
        table.append(sourced("a", 100..200), at(200)).await.unwrap();
    };
    requests_of(&emulator, without_rows).await;
    let all = emulator.server.bill().total().requests;
    assert_eq!(all, 0, "an append without a new row costs nothing");
}

#[tokio::test]
async fn an_unchanged_or_missing_table_costs_one_request_to_check() {
    let emulator = start_emulator();
    let [table, other] = [(); 2].map(|()| table::<FailedRow>(&emulator));
    let remove = async || table.remove(ids(["a"])).await.unwrap().rows;
    remove().await;
    let missing = requests_of(&emulator, remove()).await;
    assert_eq!(missing, [0, 0, 1, 0, 0], "it does not exist");
    add(&other, [failed("a", 0), failed("b", 0)]).await;
    assert_eq!(remove().await, 1);
    // The filter of the rewritten file is read once.
    remove().await;
    let unchanged = requests_of(&emulator, remove()).await;
    assert_eq!(unchanged, [0, 1, 0, 0, 0], "no other commit was made");
}

/// Includes opening the table, creating it, and checkpoints.
#[tokio::test]
async fn five_hundred_commits_stay_below_their_price() {
    const COMMITS: i64 = 500;
    let emulator = start_emulator();
    let table = table::<AttachmentRow>(&emulator);
    for batch in 0..COMMITS {
        add_offsets(&table, "a", batch * 2..batch * 2 + 2).await;
    }
    let bill = emulator.server.bill_of(Area::Tables);
    let counted = table.bill().unwrap();
    assert_eq!(counted, emulator.server.bill(), "the client counts the same");
    let (all, price) = (bill.total().requests, bill.total().micro_cu_seconds);
    println!("{COMMITS} commits: {:?}, {price} micro-CU-seconds", requests(&bill));
    assert!(all <= COMMITS as u64 * 5 / 2, "{all} requests: {:?}", requests(&bill));
    assert!(price <= COMMITS as u64 * 450_000, "{price} micro-CU-seconds");
    assert_eq!(positions(&table).await, at(2 * COMMITS));
}

#[tokio::test]
async fn two_owners_that_take_turns_need_at_most_eight_requests_each() {
    let emulator = start_emulator();
    let owners = [(); 2].map(|()| table::<AttachmentRow>(&emulator));
    for owner in &owners {
        add_offsets(owner, "first", 0..1).await;
    }
    for turn in 1..=20 {
        let append = add_offsets(&owners[turn as usize % 2], "turn", turn..turn + 1);
        let needed = requests_of(&emulator, append).await;
        // Its file and a refused commit; the other's entry, no entry after it, the other's filter; the commit.
        if turn > 2 {
            assert_eq!(needed, [3, 3, 0, 0, 0], "turn {turn}");
        }
    }
}
