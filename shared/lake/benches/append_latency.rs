//! Latency of an append of 500 rows, by the number of data files: `cargo bench -p xact-lake --features delta`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use jiff::civil::date;

use support::*;
use xact_lake::{AttachmentRow, Location, Table};

/// Appends 500 rows, and returns how long it took.
async fn append(table: &Table<AttachmentRow>, prefix: &str) -> Duration {
    let rows = (0..500).map(|n| attachment(&format!("13bb61f0-41d1-548c-97c8-{prefix}-{n:08}")));
    let rows = unsourced(rows);
    let start = Instant::now();
    table.append(rows, none()).await.unwrap();
    start.elapsed()
}

async fn measure(label: &str, location: &Location) {
    let cold = table(location);
    let first = append(&cold, &format!("cold {label}")).await;
    let mut times = Vec::new();
    for n in 0..9 {
        times.push(append(&cold, &format!("{n} {label}")).await);
    }
    times.sort();
    let again = append(&cold, &format!("0 {label}")).await;
    println!(
        "{label:>40}: first on a fresh handle {first:?}, then median {:?}, worst {:?}; 500 rows all there {again:?}; {} MiB",
        times[4],
        times[8],
        resident_mib()
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (_folder, location, filler) = new_table();
    measure("new table", &location).await;
    for files in [100, 500] {
        let mut times = Vec::new();
        while data_files(&location) < files {
            times.push(append(&filler, &format!("fill {files} {}", times.len())).await);
        }
        let each = times.iter().sum::<Duration>() / times.len().max(1) as u32;
        println!("made {} files, {each:?} each", times.len());
        measure(&format!("{files} files in the date"), &location).await;
    }

    let (_folder, location, filler) = new_table();
    let day = |day| date(2000, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
    add(&filler, (0..3000).map(|n| attachment_of(day(n), "x"))).await;
    measure("3000 files in other dates", &location).await;
}
