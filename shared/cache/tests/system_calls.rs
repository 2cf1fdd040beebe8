//! Counts the calls that one attachment makes in the cache folder, from the first look of the download stage to the removal
//! by the upload stage, with strace: independent of what the code believes of itself.
//!
//! In Azure the folder is an SMB share, where each of these calls may be a round trip. infra/COST.md has the prices.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use uuid::Uuid;

use xact_cache::{Cache, Cached, Found, Kind};
use xact_contracts::cache_path::Layout;

/// Set for the process that strace watches: the cache folder.
const WATCHED: &str = "XACT_TEST_WATCHED_CACHE";
/// A path that does not exist: looking it up marks where the attachment begins and ends.
const MARK: &str = "/xact-test-mark";
const CONTENT: [u8; 9 * 1024] = [7; 9 * 1024];

#[test]
fn one_attachment_takes_eight_calls_in_both_stages_together() {
    if let Some(root) = std::env::var_os(WATCHED) {
        return attachments(Path::new(&root));
    }
    let root = tempfile::tempdir().unwrap();
    let Some(trace) = trace("one_attachment_takes_eight_calls_in_both_stages_together", root.path()) else {
        return;
    };
    let mut parts = trace.split(MARK);
    // Before the first mark: opening the folder and one shard of it, once per process.
    let (_, download, upload) = (
        parts.next().unwrap(),
        parts.next().expect("the download is marked"),
        parts.next().expect("the upload is marked"),
    );
    assert!(parts.next().is_some(), "the end is marked");
    let (download, upload) = (calls(download, root.path()), calls(upload, root.path()));
    let expected = |calls: &[(&str, usize)]| -> BTreeMap<String, usize> {
        calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    // The look for a finished file, and the part: opened, written at once, closed, renamed.
    assert_eq!(
        download,
        expected(&[("openat2", 2), ("write", 1), ("close", 1), ("renameat", 1)])
    );
    // Opened, looked at, read at once, closed, and removed in the end.
    assert_eq!(
        upload,
        expected(&[
            ("openat2", 1),
            ("statx", 1),
            ("pread64", 1),
            ("close", 1),
            ("unlinkat", 1)
        ])
    );
    let of_content = ["write", "pread64"];
    let all = download.iter().chain(&upload);
    let count: usize = all
        .filter(|(name, _)| !of_content.contains(&name.as_str()))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(count, 8, "calls beside those that carry the content");
}

/// Runs a test of this program under strace, with the cache at `root`; returns what it wrote. Without strace the test is
/// skipped, and fails in CI.
fn trace(test: &str, root: &Path) -> Option<String> {
    let log = root.with_extension("strace");
    let strace = Command::new("strace")
        // The path of each descriptor, and all strings in full length.
        .args(["-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file,%desc,%fstat", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(WATCHED, root)
        .output();
    let output = match strace {
        Ok(output) => output,
        Err(error) => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "strace cannot be started ({error}): apt-get install strace"
            );
            eprintln!("SKIPPED: {test}: strace cannot be started ({error}): apt-get install strace");
            return None;
        }
    };
    let trace = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "under strace: {}\n{said}", output.status);
    assert!(trace.contains(MARK), "strace saw nothing; is ptrace permitted? {said}");
    Some(trace)
}

/// The calls in a part of a trace that reach the folder, by name. Without `fcntl`, with which the standard library of a debug
/// build asks whether a descriptor is open before it closes it: the kernel answers that from the process's own table.
fn calls(trace: &str, root: &Path) -> BTreeMap<String, usize> {
    let root = root.to_str().unwrap();
    let mut calls = BTreeMap::new();
    for line in trace.lines().filter(|line| line.contains(root)) {
        // PID NAME(…) = RESULT, or a call that another thread has interrupted: PID <... NAME resumed>…
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((name, _)) = call.split_once('(').filter(|_| !call.starts_with('<')) else {
            continue;
        };
        if name != "fcntl" {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// What strace watches: two attachments of one shard. The first one opens what is kept open.
fn attachments(root: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // As in two processes: each stage keeps its own folders open.
    let (download, upload) = (Cache::new(root), Cache::new(root));
    let mark = || assert!(!Path::new(MARK).exists());
    runtime.block_on(async {
        let first = Uuid::from_u128(1);
        let cached = downloaded(&download, first).await;
        uploaded(&upload, first, &cached).await;
        let second = Uuid::from_u128(2);
        mark();
        let cached = downloaded(&download, second).await;
        mark();
        uploaded(&upload, second, &cached).await;
        mark();
    });
}

async fn downloaded(cache: &Cache, media_id: Uuid) -> Cached {
    let slot = cache.slot(media_id).await;
    assert_eq!(slot.finished().await, None);
    let mut part = slot.begin();
    for piece in CONTENT.chunks(4000) {
        part.write(piece).await.unwrap();
    }
    part.finish(Kind::default(), "2025-01-01T00:00:00Z".parse().unwrap())
        .await
        .unwrap()
}

async fn uploaded(cache: &Cache, media_id: Uuid, cached: &Cached) {
    let found = cache.look(media_id, Layout::Current, cached.bytes).await;
    let Ok(Found::Good(file)) = found else {
        panic!("it was downloaded");
    };
    // As the lake reads it: once, for the hash and the request.
    let mut content = vec![0; usize::try_from(cached.bytes).unwrap()];
    file.content().read_exact_at(&mut content, 0).unwrap();
    assert!(content == CONTENT);
    file.forget().await;
}
