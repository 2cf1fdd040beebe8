//! The upload handler on a local lake, with a cached file that is present, missing, damaged, or somewhere else.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use upload::Upload;
use xact_cache::{Cache, ContentKind};
use xact_config::{Environment, Settings};
use xact_contracts::cache_path;
use xact_contracts::category::Category;
use xact_contracts::messages::{CachedDownload, DownloadTask, Message, Problem};
use xact_runtime::{Context, Failure, Handler, Outcome};

const DESTINATION: &str = "documentsReceived/A1/t/A1_a.pdf";
const URL: &str = "https://claimxperience.com/a.pdf";

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
        self.in_cache(&cached(b"").local_cache_path)
    }

    fn in_cache(&self, path: &str) -> PathBuf {
        self.folder.path().join("cache").join(path)
    }

    fn lake_file(&self) -> PathBuf {
        self.folder.path().join("lake").join(DESTINATION)
    }

    async fn handle(&self, cached: CachedDownload) -> Result<Outcome<Upload>, Failure> {
        let context = Context {
            now: Timestamp::UNIX_EPOCH,
            record_timestamp: None,
        };
        self.upload.handle(&cached, &context).await
    }

    /// The topic and the message that the runtime produces, after the broker has acknowledged it.
    async fn produced(&self, cached: CachedDownload) -> (String, Value) {
        let Outcome::Emit(emit) = self.handle(cached).await.unwrap() else {
            panic!("an upload is never held");
        };
        let mut produced = xact_runtime::testing::produced(emit, Timestamp::UNIX_EPOCH).await;
        assert_eq!(produced.len(), 1);
        produced.remove(0)
    }

    /// Uploads the cached file of this content, which is in the cache or was uploaded before.
    async fn complete(&self, cached: CachedDownload) {
        let (topic, result) = self.produced(cached).await;
        assert_eq!(topic, "xact.downloads.results");
        assert_eq!(result["status"], "completed");
        assert!(!result.to_string().contains("sig="));
    }

    async fn fails(&self, cached: CachedDownload) -> Problem {
        match self.handle(cached).await {
            Err(Failure::Message { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }
}

fn put(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The message for a file of this content.
fn cached(content: &[u8]) -> CachedDownload {
    let media_id = xact_contracts::ids::media_id("t", URL);
    let task = json!({"trace_id": "t", "media_id": media_id, "attachment_url": format!("{URL}?sig=S"), "blob_path": DESTINATION,
        "status_subtype": "documentsReceived", "file_type": "PDF", "assignment_id": "A1",
        "original_timestamp": "2024-12-31T12:00:00Z", "metadata": {"note": "kept"}});
    let task = DownloadTask::decode(task.to_string().as_bytes()).unwrap();
    let (path, sha256) = (cache_path::file(media_id), hex::encode(Sha256::digest(content)));
    CachedDownload::of_task(task, path, content.len() as u64, None, sha256, Timestamp::UNIX_EPOCH)
}

#[tokio::test]
async fn the_cached_file_is_kept_until_the_result_is_acknowledged() {
    let bench = Bench::new();
    put(&bench.cached_file(), b"hello");
    let outcome = bench.handle(cached(b"hello")).await.unwrap();
    // Thousands may wait for acknowledgements: none of them may keep its file open.
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    assert!(!open.contains(&bench.cached_file()), "{open:?}");
    // Without an acknowledgement the message is redelivered and needs the file.
    drop(outcome);
    assert!(bench.cached_file().exists());
    bench.complete(cached(b"hello")).await;
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    assert!(!bench.cached_file().exists());
    // Its file is missing then: it is reported again, and not downloaded.
    bench.complete(cached(b"hello")).await;
}

#[tokio::test]
async fn a_file_that_was_uploaded_is_not_written_again_unless_its_content_is_another() {
    let bench = Bench::new();
    put(&bench.cached_file(), b"hellx");
    bench.complete(cached(b"hellx")).await;
    put(&bench.cached_file(), b"hello");
    bench.complete(cached(b"hello")).await;
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    let written = || {
        let file = std::fs::metadata(bench.lake_file()).unwrap();
        (file.ino(), file.modified().unwrap())
    };
    let before = written();
    put(&bench.cached_file(), b"hello");
    bench.complete(cached(b"hello")).await;
    assert_eq!(written(), before);
    assert!(!bench.cached_file().exists());
}

#[tokio::test]
async fn a_file_in_the_previous_layout_is_uploaded_and_its_folder_removed() {
    let bench = Bench::new();
    let mut message = cached(b"hello");
    message.local_cache_path = cache_path::previous_file(message.media_id);
    let path = bench.in_cache(&message.local_cache_path);
    let (folder, note) = (path.parent().unwrap(), path.with_file_name("note.json"));
    put(&path, b"hello");
    put(&note, b"{}");
    bench.complete(message.clone()).await;
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    assert!(!folder.exists());

    // A folder left by a killed upload is removed when the message is redelivered.
    put(&note, b"{}");
    bench.complete(message.clone()).await;
    assert!(!folder.exists());

    // A message that names the file of another attachment removes nothing.
    put(&note, b"{}");
    message.media_id = xact_contracts::ids::media_id("t", "https://claimxperience.com/b.pdf");
    let problem = bench.fails(message).await;
    assert!(problem.message().contains("local_cache_path"), "{}", problem.message());
    assert!(folder.exists());
}

#[tokio::test]
async fn a_file_is_uploaded_without_its_footer() {
    let bench = Bench::new();
    let cache = Cache::create(&bench.in_cache("")).unwrap();
    let mut part = cache.slot(cached(b"hello").media_id).await.new_part();
    part.write(b"hello").await.unwrap();
    let finished = part.finish(ContentKind::default(), Timestamp::UNIX_EPOCH).await;
    assert_eq!(finished.unwrap().sha256, cached(b"hello").sha256);
    assert!(std::fs::metadata(bench.cached_file()).unwrap().len() > 5);
    bench.complete(cached(b"hello")).await;
    assert_eq!(std::fs::read(bench.lake_file()).unwrap(), b"hello");
    assert!(!bench.cached_file().exists());
}

#[tokio::test]
async fn a_missing_or_damaged_file_is_downloaded_again() {
    for content in [None, Some(&b"hell"[..]), Some(b"hellx")] {
        let bench = Bench::new();
        if let Some(content) = content {
            put(&bench.cached_file(), content);
        }
        let (topic, task) = bench.produced(cached(b"hello")).await;
        assert_eq!(topic, "xact.downloads.pending");
        assert_eq!(task["metadata"], json!({"note": "kept", "cache_misses": 1}));
        assert_eq!(task["attachment_url"], format!("{URL}?sig=S"));
        assert!(!bench.cached_file().exists(), "the download stage must not find it");
        assert!(!bench.lake_file().exists());
    }
    // A cache that loses every file ends in the retry topics.
    let mut lost = cached(b"hello");
    lost.metadata.insert("cache_misses".to_owned(), 3.into());
    let problem = Bench::new().fails(lost).await;
    assert_eq!(problem.category, Category::Transient);
    assert!(problem.message().contains("one volume"), "{}", problem.message());
}

#[tokio::test]
async fn a_path_outside_the_cache_or_the_lake_is_refused_and_nothing_is_read() {
    let bench = Bench::new();
    put(&bench.cached_file(), b"hello");
    put(&bench.folder.path().join("secret"), b"hello");
    for path in ["../secret", "/etc/passwd", "aa/../../secret"] {
        let mut outside = cached(b"hello");
        outside.local_cache_path = path.to_owned();
        assert_eq!(bench.fails(outside).await.category, Category::Permanent, "{path}");
    }
    let mut away = cached(b"hello");
    away.destination_path = "../away.pdf".to_owned();
    assert_eq!(bench.fails(away).await.category, Category::Permanent);
    assert!(!bench.lake_file().exists() && !bench.folder.path().join("away.pdf").exists());
}

#[tokio::test]
async fn a_lake_that_cannot_be_written_keeps_the_message() {
    let bench = Bench::new();
    put(&bench.cached_file(), b"hello");
    // A file in place of the lake's folder.
    put(&bench.folder.path().join("lake"), b"");
    let Err(Failure::Unavailable(unavailable)) = bench.handle(cached(b"hello")).await else {
        panic!("it must wait");
    };
    assert_eq!(unavailable.dependency, "lake");
    assert!(bench.cached_file().exists());
}
