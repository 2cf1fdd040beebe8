//! Files on this machine.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use xact_lake::{Connection, Content, FileError, FileStore, Location, open};

struct Lake {
    folder: tempfile::TempDir,
    store: Arc<dyn FileStore>,
}

fn lake() -> Lake {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("lake").to_str().unwrap()).unwrap();
    Lake {
        store: open(&location, &Connection::local()).unwrap(),
        folder,
    }
}

impl Lake {
    fn source(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join("lake").join(path)).unwrap()
    }

    async fn put(&self, path: &str, source: &Path, bytes: usize) -> Result<(), FileError> {
        let sha256 = hex::encode(Sha256::digest(std::fs::read(source).unwrap()));
        let content = Content {
            bytes: bytes as u64,
            sha256: &sha256,
        };
        let source = Arc::new(std::fs::File::open(source).unwrap());
        self.store.put_file(path, source, content).await
    }

    fn temporary_files(&self) -> usize {
        let folder = self.folder.path().join("lake/.xact-uploads");
        std::fs::read_dir(folder).unwrap().count()
    }

    async fn holds(&self, path: &str, content: &[u8]) -> bool {
        let sha256 = hex::encode(Sha256::digest(content));
        let content = Content {
            bytes: content.len() as u64,
            sha256: &sha256,
        };
        self.store.holds(path, content).await.unwrap()
    }
}

#[tokio::test]
async fn a_file_is_written_looked_up_listed_and_overwritten() {
    let lake = lake();
    assert!(!lake.holds("a/b/x.pdf", b"new").await);
    assert!(lake.store.list("").await.unwrap().is_empty());
    let old = lake.source("old", b"old content");
    lake.put("a/b/x.pdf", &old, 11).await.unwrap();
    lake.put("a/b/x.pdf", &old, 11).await.unwrap();
    lake.put("a/y.pdf", &lake.source("new", b"new"), 3).await.unwrap();
    lake.put("a/b/x.pdf", &lake.source("new", b"new"), 3).await.unwrap();
    assert!(lake.holds("a/b/x.pdf", b"new").await);
    assert!(
        !lake.holds("a/b/x.pdf", b"nex").await,
        "of the same length, but different"
    );
    assert!(!lake.holds("a/b/x.pdf", b"newer").await);
    assert!(!lake.holds("a/b", b"").await, "a folder is not a file");
    assert_eq!(lake.read("a/b/x.pdf"), b"new");
    let all = vec![("a/b/x.pdf".to_owned(), 3), ("a/y.pdf".to_owned(), 3)];
    assert_eq!(lake.store.list("").await.unwrap(), all);
    assert_eq!(lake.store.list("a/b/").await.unwrap(), all[..1]);
    assert_eq!(lake.store.list("nothing").await.unwrap(), []);
    assert_eq!(
        std::fs::read(&old).unwrap(),
        b"old content",
        "the source is not changed"
    );
}

#[tokio::test]
async fn an_empty_file_and_a_large_one_are_written_completely() {
    let lake = lake();
    lake.put("empty", &lake.source("empty", b""), 0).await.unwrap();
    assert!(lake.holds("empty", b"").await);
    let content: Vec<u8> = (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect();
    lake.put("big", &lake.source("big", &content), content.len())
        .await
        .unwrap();
    assert!(lake.read("big") == content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_of_one_path_leave_one_complete_file_and_readers_never_get_less() {
    let lake = Arc::new(lake());
    const BYTES: usize = 3_000_000;
    let sources: Vec<PathBuf> = (0..6_u8)
        .map(|n| lake.source(&format!("s{n}"), &vec![n; BYTES]))
        .collect();
    lake.put("a/x", &sources[0], BYTES).await.unwrap();
    let mut puts = tokio::task::JoinSet::new();
    for source in sources {
        let lake = Arc::clone(&lake);
        puts.spawn(async move {
            for _ in 0..3 {
                lake.put("a/x", &source, BYTES).await.unwrap();
            }
        });
    }
    while puts.try_join_next().is_none_or(|joined| {
        joined.unwrap();
        !puts.is_empty()
    }) {
        let seen = lake.read("a/x");
        assert_eq!(seen.len(), BYTES);
        assert!(seen.iter().all(|byte| *byte == seen[0]), "two writers are mixed");
        tokio::task::yield_now().await;
    }
    assert_eq!(lake.temporary_files(), 0);
}

#[tokio::test]
async fn unfinished_files_of_a_crash_are_not_listed_and_do_no_harm() {
    let lake = lake();
    let source = lake.source("s", b"abc");
    lake.put("a/x", &source, 3).await.unwrap();
    let leftover = lake.folder.path().join("lake/.xact-uploads/0b7c.part");
    std::fs::write(&leftover, b"ab").unwrap();
    assert_eq!(lake.store.list("").await.unwrap(), [("a/x".to_owned(), 3)]);
    lake.put("a/x", &source, 3).await.unwrap();
    assert_eq!(lake.read("a/x"), b"abc");

    // An upload that is still running is younger.
    let hour = Duration::from_secs(3600);
    assert!(lake.store.leftovers(hour).await.unwrap().is_empty());
    let file = std::fs::File::options().write(true).open(&leftover).unwrap();
    file.set_modified(SystemTime::now() - 24 * hour).unwrap();
    let path = ".xact-uploads/0b7c.part";
    assert_eq!(lake.store.leftovers(hour).await.unwrap(), [(path.to_owned(), 2)]);
    assert!(matches!(
        lake.store.delete_leftover("a/x").await,
        Err(FileError::InvalidPath { .. })
    ));
    lake.store.delete_leftover(path).await.unwrap();
    lake.store.delete_leftover(path).await.unwrap();
    assert!(!leftover.exists());
    assert_eq!(lake.read("a/x"), b"abc");
}

#[tokio::test]
async fn a_refused_path_changes_nothing() {
    let lake = lake();
    let source = lake.source("s", b"abc");
    for path in ["", "/abs", "../x", "a/../../x", "a//b", "a/", "a\0b", "a\\b", "."] {
        assert!(
            matches!(lake.put(path, &source, 3).await, Err(FileError::InvalidPath { .. })),
            "{path:?}"
        );
        assert!(
            matches!(
                lake.store.holds(path, Content { bytes: 3, sha256: "" }).await,
                Err(FileError::InvalidPath { .. })
            ),
            "{path:?}"
        );
    }
    assert!(matches!(
        lake.store.list("../").await,
        Err(FileError::InvalidPath { .. })
    ));
    assert!(!lake.folder.path().join("lake").exists());
    assert!(!lake.folder.path().join("x").exists());
}

#[tokio::test]
async fn a_file_name_that_is_a_folder_is_an_invalid_path() {
    let lake = lake();
    let source = lake.source("s", b"abc");
    lake.put("a/x", &source, 3).await.unwrap();
    for path in ["a", "a/x/y", "a/x/y/z"] {
        assert!(
            matches!(lake.put(path, &source, 3).await, Err(FileError::InvalidPath { .. })),
            "{path:?}"
        );
    }
    assert_eq!(lake.read("a/x"), b"abc");
}

#[tokio::test]
async fn a_changed_source_is_reported_and_the_old_file_is_kept() {
    let lake = lake();
    let source = lake.source("s", b"abc");
    lake.put("x", &source, 3).await.unwrap();
    for expected in [2, 4] {
        assert!(matches!(
            lake.put("x", &source, expected).await,
            Err(FileError::SourceChanged { .. })
        ));
    }
    assert_eq!(lake.read("x"), b"abc");
    assert_eq!(lake.temporary_files(), 0);
}

#[tokio::test]
async fn a_root_that_is_not_a_folder_is_reported_as_unavailable() {
    let lake = lake();
    let source = lake.source("s", b"abc");
    std::fs::write(lake.folder.path().join("lake"), b"in the way").unwrap();
    assert!(matches!(
        lake.put("a/x", &source, 3).await,
        Err(FileError::Unavailable { .. })
    ));
    let error = lake.store.probe().await.unwrap_err();
    assert!(matches!(error, FileError::Unavailable { .. }));
    assert!(error.to_string().contains("may write there"), "{error}");
}

#[tokio::test]
async fn the_probe_leaves_no_file() {
    let lake = lake();
    lake.store.probe().await.unwrap();
    assert_eq!(lake.temporary_files(), 0);
    assert!(lake.store.list("").await.unwrap().is_empty());
}
