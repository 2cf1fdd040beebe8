//! Counts, with strace, the system calls that one attachment takes in the cache folder, from the download stage's search for
//! a complete file to the removal by the upload stage.
//!
//! In Azure the folder is an SMB share, where each of these calls may be a round trip. infra/COST.md has the prices.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use uuid::Uuid;

use xact_cache::{Cache, CachedContent, ContentKind, Lookup};
use xact_contracts::cache_path::Layout;

/// Set for the process under strace: the cache folder.
const TRACED_CACHE: &str = "XACT_TEST_WATCHED_CACHE";
/// A path that does not exist: looking it up marks the beginning and the end of an attachment in the trace.
const MARK: &str = "/xact-test-mark";
const CONTENT: [u8; 9 * 1024] = [7; 9 * 1024];

#[test]
fn one_attachment_takes_eight_calls_in_both_stages_together() {
    if let Some(root) = std::env::var_os(TRACED_CACHE) {
        return attachments(Path::new(&root));
    }
    let root = tempfile::tempdir().unwrap();
    let Some(trace) = trace("one_attachment_takes_eight_calls_in_both_stages_together", root.path()) else {
        return;
    };
    // Before the first mark, each process opens the folder and one shard.
    let [_, download, upload, _] = trace.split(MARK).collect::<Vec<_>>()[..] else {
        panic!("download, upload and the end are marked");
    };
    // The eight calls are those in addition to the two that carry the content, `write` and `pread64`. First the search for
    // a complete file, and the part: open, one write, close, rename.
    let expected = BTreeMap::from([("openat2", 2), ("write", 1), ("close", 1), ("renameat", 1)]);
    assert_eq!(calls(download, root.path()), expected);
    // Open, stat, one read, close, and the removal in the end.
    let expected = ["openat2", "statx", "pread64", "close", "unlinkat"].map(|name| (name, 1));
    assert_eq!(calls(upload, root.path()), BTreeMap::from(expected));
}

/// Runs a test of this program under strace, with the cache at `root`, and returns the trace. Without strace the test is
/// skipped; in CI it fails.
fn trace(test: &str, root: &Path) -> Option<String> {
    let log = root.with_extension("strace");
    let strace = Command::new("strace")
        // The path of each descriptor, and all strings in full length.
        .args(["-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file,%desc,%fstat", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(TRACED_CACHE, root)
        .output();
    let output = match strace {
        Ok(output) => output,
        Err(error) => {
            let hint = format!("strace cannot be started ({error}): apt-get install strace");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{hint}");
            eprintln!("SKIPPED: {test}: {hint}");
            return None;
        }
    };
    let trace = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "under strace: {}\n{stderr}", output.status);
    assert!(
        trace.contains(MARK),
        "the trace is empty; is ptrace permitted? {stderr}"
    );
    Some(trace)
}

/// Returns the calls on the folder in a part of a trace, by name. `fcntl` is left out: the standard library of a debug build
/// checks with it whether a descriptor is open before it closes it, and the kernel needs no file system for that.
fn calls<'a>(trace: &'a str, root: &Path) -> BTreeMap<&'a str, usize> {
    let root = root.to_str().unwrap();
    let mut calls = BTreeMap::new();
    for line in trace.lines().filter(|line| line.contains(root)) {
        // PID NAME(…) = RESULT, or a call that another thread has interrupted: PID <... NAME resumed>…
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((name, _)) = call.split_once('(').filter(|_| !call.starts_with('<')) else {
            continue;
        };
        if name != "fcntl" {
            *calls.entry(name).or_default() += 1;
        }
    }
    calls
}

/// Runs under strace: two attachments of one shard. The first one opens the folders that are kept open.
fn attachments(root: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Two caches, as in two processes.
    let (download, upload) = (Cache::new(root), Cache::new(root));
    let mark = || assert!(!Path::new(MARK).exists());
    runtime.block_on(async {
        let first = Uuid::from_u128(1);
        downloaded(&download, first).await;
        uploaded(&upload, first).await;
        let second = Uuid::from_u128(2);
        mark();
        downloaded(&download, second).await;
        mark();
        uploaded(&upload, second).await;
        mark();
    });
}

async fn downloaded(cache: &Cache, media_id: Uuid) {
    let slot = cache.slot(media_id).await;
    assert_eq!(slot.complete_file().await, None);
    let mut part = slot.new_part();
    for piece in CONTENT.chunks(4000) {
        part.write(piece).await.unwrap();
    }
    let now = "2025-01-01T00:00:00Z".parse().unwrap();
    part.finish(ContentKind::default(), now).await.unwrap();
}

async fn uploaded(cache: &Cache, media_id: Uuid) {
    let found = cache.open(media_id, Layout::Current, CONTENT.len() as u64).await;
    let Ok(Lookup::Found(file)) = found else {
        panic!("it was downloaded");
    };
    let CachedContent::Bytes(content) = file.content() else {
        panic!("a small file is read when it is opened");
    };
    assert!(content == CONTENT[..]);
    file.remove().await;
}
