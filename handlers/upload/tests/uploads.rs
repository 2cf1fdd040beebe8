//! The upload handler on a local lake, with a cached file that is present, missing, damaged, or somewhere else.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use upload::Upload;
use xact_config::{Environment, Settings};
use xact_contracts::category::Category;
use xact_contracts::messages::{CachedDownload, DownloadTask, Message};
use xact_runtime::{Context, Failure, Handler, Outcome};

const DESTINATION: &str = "documentsReceived/A1/t/A1_a.pdf";

struct Bench {
    upload: Upload,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        environment.set("ONELAKE_BASE_PATH", folder.path().join("lake").display().to_string());
        environment.set("CACHE_DIR", folder.path().join("cache").display().to_string());
        let upload = Upload::new(&Settings::from_environment(&environment).unwrap()).unwrap();
        Self { upload, folder }
    }

    fn cached_file(&self) -> PathBuf {
        self.folder.path().join("cache").join(local_cache_path())
    }

    fn lake_file(&self) -> PathBuf {
        self.folder.path().join("lake").join(DESTINATION)
    }

    fn put_in_cache(&self, content: &[u8]) {
        put(&self.cached_file(), content);
    }

    async fn handle(&self, cached: CachedDownload) -> Result<Outcome<Upload>, Failure> {
        let context = Context {
            now: now(),
            record_timestamp: None,
        };
        self.upload.handle(&cached, &context).await
    }

    /// Topics and messages that the runtime produces, after the broker has acknowledged them.
    async fn produced(&self, cached: CachedDownload) -> Vec<(String, Value)> {
        let Outcome::Emit(emit) = self.handle(cached).await.unwrap() else {
            panic!("an upload is never held");
        };
        xact_runtime::testing::produced(emit, now()).await
    }
}

fn put(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn now() -> Timestamp {
    "2025-01-01T00:00:00Z".parse().unwrap()
}

fn local_cache_path() -> String {
    xact_contracts::cache_path::file(xact_contracts::ids::media_id("t", "https://claimxperience.com/a.pdf"))
}

/// The message for a file of this content.
fn cached(content: &[u8]) -> CachedDownload {
    let task = json!({"trace_id": "t", "media_id": xact_contracts::ids::media_id("t", "https://claimxperience.com/a.pdf"),
        "attachment_url": "https://claimxperience.com/a.pdf?sig=S", "blob_path": DESTINATION, "status_subtype": "documentsReceived",
        "file_type": "PDF", "assignment_id": "A1", "original_timestamp": "2024-12-31T12:00:00Z", "metadata": {"note": "kept"}});
    let task = DownloadTask::decode(task.to_string().as_bytes()).unwrap();
    let sha256 = hex::encode(Sha256::digest(content));
    CachedDownload::of_task(task, local_cache_path(), content.len() as u64, None, sha256, now())
}

#[tokio::test]
async fn a_file_is_uploaded_its_result_emitted_and_the_cached_file_removed() {
    let bench = Bench::new();
    bench.put_in_cache(b"hello");
    let out = bench.produced(cached(b"hello")).await;
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    assert_eq!(out.len(), 1);
    assert_eq!(
        (out[0].0.as_str(), &out[0].1["status"]),
        ("xact.downloads.results", &json!("completed"))
    );
    assert!(!out[0].1.to_string().contains("sig="));
    assert!(!bench.cached_file().exists());
}

#[tokio::test]
async fn the_cached_file_is_kept_until_the_result_is_acknowledged() {
    let bench = Bench::new();
    bench.put_in_cache(b"hello");
    let outcome = bench.handle(cached(b"hello")).await.unwrap();
    // Thousands may wait for acknowledgements: none of them may keep its file open.
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    assert!(!open.contains(&bench.cached_file()), "{open:?}");
    // Without an acknowledgement the message is redelivered and needs the file.
    drop(outcome);
    assert!(bench.cached_file().exists());
    assert_eq!(bench.produced(cached(b"hello")).await.len(), 1);
}

#[tokio::test]
async fn a_missing_file_that_was_uploaded_is_reported_again_and_not_downloaded() {
    let bench = Bench::new();
    bench.put_in_cache(b"hello");
    bench.produced(cached(b"hello")).await;
    let again = bench.produced(cached(b"hello")).await;
    assert_eq!(again[0].0, "xact.downloads.results");
    assert_eq!(again[0].1["status"], "completed");
}

#[tokio::test]
async fn a_file_that_was_uploaded_is_not_written_again() {
    let bench = Bench::new();
    bench.put_in_cache(b"hello");
    bench.produced(cached(b"hello")).await;
    let written = std::fs::metadata(bench.lake_file()).unwrap();
    bench.put_in_cache(b"hello");
    let again = bench.produced(cached(b"hello")).await;
    assert_eq!(again[0].1["status"], "completed");
    let now = std::fs::metadata(bench.lake_file()).unwrap();
    assert_eq!(
        (now.ino(), now.modified().unwrap()),
        (written.ino(), written.modified().unwrap())
    );
    assert!(!bench.cached_file().exists());
}

#[tokio::test]
async fn a_file_of_the_same_size_and_other_content_is_replaced() {
    let bench = Bench::new();
    bench.put_in_cache(b"hellx");
    bench.produced(cached(b"hellx")).await;
    bench.put_in_cache(b"hello");
    bench.produced(cached(b"hello")).await;
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
}

/// A message of the previous version for a file of this content.
fn cached_in_previous_layout(content: &[u8]) -> CachedDownload {
    let mut cached = cached(content);
    cached.local_cache_path = xact_contracts::cache_path::previous_file(cached.media_id);
    cached
}

#[tokio::test]
async fn a_file_in_the_previous_layout_is_uploaded_and_its_folder_removed() {
    let bench = Bench::new();
    let message = cached_in_previous_layout(b"hello");
    let path = bench.folder.path().join("cache").join(&message.local_cache_path);
    put(&path, b"hello");
    put(&path.with_file_name("note.json"), b"{}");
    let out = bench.produced(message).await;
    assert_eq!(
        (out[0].0.as_str(), &out[0].1["status"]),
        ("xact.downloads.results", &json!("completed"))
    );
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    assert!(!path.parent().unwrap().exists());

    // A folder left by a killed upload is removed when the message is redelivered.
    put(&path.with_file_name("note.json"), b"{}");
    bench.produced(cached_in_previous_layout(b"hello")).await;
    assert!(!path.parent().unwrap().exists());

    put(&path.with_file_name("note.json"), b"{}");
    let mut foreign = cached_in_previous_layout(b"hello");
    foreign.media_id = xact_contracts::ids::media_id("t", "https://claimxperience.com/b.pdf");
    let Err(Failure::Message { problem, .. }) = bench.handle(foreign).await else {
        panic!("it names the file of another attachment");
    };
    assert!(problem.message().contains("local_cache_path"), "{}", problem.message());
    assert!(
        path.parent().unwrap().exists(),
        "a message that names another folder removes nothing"
    );
}

#[tokio::test]
async fn a_file_is_uploaded_without_its_footer() {
    let bench = Bench::new();
    let cache = xact_cache::Cache::create(&bench.folder.path().join("cache")).unwrap();
    let mut part = cache.slot(cached(b"hello").media_id).await.new_part();
    part.write(b"hello").await.unwrap();
    part.finish(xact_cache::ContentKind::default(), now()).await.unwrap();
    assert!(std::fs::metadata(bench.cached_file()).unwrap().len() > 5);
    let out = bench.produced(cached(b"hello")).await;
    assert_eq!(out[0].1["status"], "completed");
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    assert!(!bench.cached_file().exists());
}

#[tokio::test]
async fn a_missing_or_damaged_file_is_downloaded_again() {
    for content in [None, Some(&b"hell"[..]), Some(b"hellx")] {
        let bench = Bench::new();
        if let Some(content) = content {
            bench.put_in_cache(content);
        }
        let out = bench.produced(cached(b"hello")).await;
        assert_eq!((out.len(), out[0].0.as_str()), (1, "xact.downloads.pending"));
        assert_eq!(out[0].1["metadata"], json!({"note": "kept", "cache_misses": 1}));
        assert_eq!(out[0].1["attachment_url"], "https://claimxperience.com/a.pdf?sig=S");
        assert!(!bench.cached_file().exists(), "the download stage must not find it");
        assert!(!bench.lake_file().exists());
    }
}

#[tokio::test]
async fn a_cache_that_loses_every_file_ends_in_the_retry_topics() {
    let bench = Bench::new();
    let mut lost = cached(b"hello");
    lost.metadata.insert("cache_misses".to_owned(), 3.into());
    let Err(Failure::Message { problem, .. }) = bench.handle(lost).await else {
        panic!("it must slow down");
    };
    assert_eq!(problem.category, Category::Transient);
    assert!(problem.message().contains("one volume"), "{}", problem.message());
}

#[tokio::test]
async fn a_path_outside_the_cache_is_refused_and_nothing_is_read() {
    let bench = Bench::new();
    std::fs::write(bench.folder.path().join("secret"), b"hello").unwrap();
    for path in ["../secret", "/etc/passwd", "aa/../../secret"] {
        let mut outside = cached(b"hello");
        outside.local_cache_path = path.to_owned();
        let Err(Failure::Message { problem, .. }) = bench.handle(outside).await else {
            panic!("{path} must be refused");
        };
        assert_eq!(problem.category, Category::Permanent, "{path}");
    }
    assert!(!bench.lake_file().exists());
}

#[tokio::test]
async fn a_destination_that_leaves_the_lake_is_refused() {
    let bench = Bench::new();
    bench.put_in_cache(b"hello");
    let mut away = cached(b"hello");
    away.destination_path = "../away.pdf".to_owned();
    let Err(Failure::Message { problem, .. }) = bench.handle(away).await else {
        panic!("it must be refused");
    };
    assert_eq!(problem.category, Category::Permanent);
    assert!(!bench.folder.path().join("away.pdf").exists());
}

#[tokio::test]
async fn a_lake_that_cannot_be_written_keeps_the_message() {
    let bench = Bench::new();
    bench.put_in_cache(b"hello");
    // A file in place of the lake's folder.
    std::fs::write(bench.folder.path().join("lake"), b"").unwrap();
    let Err(Failure::Unavailable(unavailable)) = bench.handle(cached(b"hello")).await else {
        panic!("it must wait");
    };
    assert_eq!(unavailable.dependency, "lake");
    assert!(bench.cached_file().exists());
}
