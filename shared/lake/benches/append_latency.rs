//! Latency of an append of 500 rows, by the number of data files: `cargo bench -p xact-lake --features delta`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use jiff::civil::date;

use support::*;
use xact_lake::{AttachmentRow, Location, Sourced};

fn rows(prefix: &str, count: usize) -> Vec<Sourced<AttachmentRow>> {
    unsourced((0..count).map(|n| attachment(&format!("13bb61f0-41d1-548c-97c8-{prefix}-{n:08}"))))
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

async fn measure(label: &str, location: &Location) {
    let cold = table::<AttachmentRow>(location);
    let start = Instant::now();
    cold.append(rows(&format!("cold {label}"), 500), none()).await.unwrap();
    let first = start.elapsed();
    let mut times = Vec::new();
    for n in 0..9 {
        let start = Instant::now();
        cold.append(rows(&format!("{n} {label}"), 500), none()).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    let start = Instant::now();
    cold.append(rows(&format!("0 {label}"), 500), none()).await.unwrap();
    println!(
        "{label:>40}: first on a fresh handle {first:?}, then median {:?}, worst {:?}; 500 rows all there {:?}; {} MiB",
        times[4],
        times[8],
        start.elapsed(),
        resident_mib()
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (_folder, location) = folder();
    measure("new table", &location).await;
    let filler = table::<AttachmentRow>(&location);
    for files in [100, 500] {
        let start = Instant::now();
        let mut made = 0;
        while data_files(&location) < files {
            filler
                .append(rows(&format!("fill {files} {made}"), 500), none())
                .await
                .unwrap();
            made += 1;
        }
        println!(
            "made {made} files, {:?} each",
            start.elapsed().checked_div(made.max(1)).unwrap_or(Duration::ZERO)
        );
        measure(&format!("{files} files in the date"), &location).await;
    }

    let (_folder, location) = folder();
    let dates = (0..3000).map(|day| AttachmentRow {
        event_date: date(2000, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap(),
        ..attachment("x")
    });
    table::<AttachmentRow>(&location)
        .append(unsourced(dates), none())
        .await
        .unwrap();
    measure("3000 files in other dates", &location).await;
}
