//! Counts, with strace, the system calls that one attachment takes in the cache folder, from the download stage's search for
//! a complete file to the removal by the upload stage.
//!
//! In Azure the folder is an SMB share, where each of these calls may be a round trip. infra/COST.md has the prices.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use uuid::Uuid;

use xact_cache::{Cache, ContentKind, FileInfo, Lookup};
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
    let mut parts = trace.split(MARK);
    // Before the first mark, each process opens the folder and one shard.
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
    // The search for a complete file, and the part: open, one write, close, rename.
    assert_eq!(
        download,
        expected(&[("openat2", 2), ("write", 1), ("close", 1), ("renameat", 1)])
    );
    // Open, stat, one read, close, and the removal in the end.
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
    assert_eq!(count, 8, "calls in addition to those that carry the content");
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

/// Runs under strace: two attachments of one shard. The first one opens the folders that are kept open.
fn attachments(root: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Two caches, as in two processes.
    let (download, upload) = (Cache::new(root), Cache::new(root));
    let mark = || assert!(!Path::new(MARK).exists());
    runtime.block_on(async {
        let first = Uuid::from_u128(1);
        let info = downloaded(&download, first).await;
        uploaded(&upload, first, &info).await;
        let second = Uuid::from_u128(2);
        mark();
        let info = downloaded(&download, second).await;
        mark();
        uploaded(&upload, second, &info).await;
        mark();
    });
}

async fn downloaded(cache: &Cache, media_id: Uuid) -> FileInfo {
    let slot = cache.slot(media_id).await;
    assert_eq!(slot.complete_file().await, None);
    let mut part = slot.new_part();
    for piece in CONTENT.chunks(4000) {
        part.write(piece).await.unwrap();
    }
    part.finish(ContentKind::default(), "2025-01-01T00:00:00Z".parse().unwrap())
        .await
        .unwrap()
}

async fn uploaded(cache: &Cache, media_id: Uuid, info: &FileInfo) {
    let found = cache.open(media_id, Layout::Current, info.bytes).await;
    let Ok(Lookup::Found(file)) = found else {
        panic!("it was downloaded");
    };
    // As the lake does: one read, for the hash and the request.
    let mut content = vec![0; usize::try_from(info.bytes).unwrap()];
    file.content().read_exact_at(&mut content, 0).unwrap();
    assert!(content == CONTENT);
    file.remove().await;
}
