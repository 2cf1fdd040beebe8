//! Cost of a lookup of 2,000 keys in a date with 1,000,000 rows in 500 files, and in the same date compacted: time, bytes of
//! data files read, resident memory.
//! `cargo bench -p xact-lake --features delta --bench key_lookup [-- --files N]`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use support::*;
use xact_lake::{AttachmentRow, Key, Location};

const ROWS: usize = 2_000;

/// Random ids like those of the pipeline.
fn id(number: usize) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, &number.to_le_bytes()).to_string()
}

fn keys(from: usize, step: usize) -> Vec<Key> {
    (0..ROWS).map(|n| Key::new(&id(from + n * step))).collect()
}

async fn measure(label: &str, location: &Location, files: usize) {
    let (faults, table) = faulty(location, []);
    let absent = |batch: usize| keys((10 + batch) * ROWS * files, 1);
    // Keys of every file: all are present, and the filter of every file matches.
    let present = keys(0, files / 2);
    let before = resident_mib();
    for (what, keys, found) in [
        ("cold, none present", absent(0), 0),
        ("warm, none present", absent(1), 0),
        ("warm, none present", absent(2), 0),
        ("warm, all present, in all files", present, ROWS),
    ] {
        faults.bytes_read();
        let start = Instant::now();
        assert_eq!(table.existing_keys(DAY, &keys).await.unwrap().len(), found);
        println!(
            "{label:>20} {what:>30}: {:>8.1?}, {:>9} bytes read, {} MiB resident ({before} before)",
            start.elapsed(),
            faults.bytes_read(),
            resident_mib()
        );
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--files");
    let files: usize = arguments.nth(1).map_or(500, |files| files.parse().unwrap());
    let (_folder, location, filler) = new_table();
    let start = Instant::now();
    for file in 0..files {
        let rows = (0..ROWS).map(|row| attachment(&id(file * ROWS + row)));
        add(&filler, rows).await;
    }
    drop(filler);
    println!("{files} files of {ROWS} rows written in {:.0?}", start.elapsed());
    measure(&format!("{files} files"), &location, files).await;
    let start = Instant::now();
    let table = table::<AttachmentRow>(&location);
    let commits = table.optimize(128 << 20, || false).await.unwrap();
    let left: usize = commits.iter().map(|commit| commit.files_after).sum();
    let (took, resident) = (start.elapsed(), resident_mib());
    println!("compacted into {left} in {took:.1?}, {resident} MiB resident");
    drop(table);
    measure("compacted", &location, files).await;
}
