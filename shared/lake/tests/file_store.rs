//! Files on this machine.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use xact_lake::{Connection, Content, FileError, FileSource, FileStore, Location, open};

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
    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("lake").join(path)
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    async fn put(&self, path: &str, source: &[u8]) -> Result<(), FileError> {
        self.put_announced(path, source, source.len()).await
    }

    /// Puts a file that is announced with this size, and with the hash of its content.
    async fn put_announced(&self, path: &str, source: &[u8], bytes: usize) -> Result<(), FileError> {
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        fs::write(file.path(), source).unwrap();
        let sha256 = hex::encode(Sha256::digest(source));
        let content = Content {
            bytes: bytes as u64,
            sha256: &sha256,
        };
        let put = self
            .store
            .put_file(path, FileSource::File(Arc::new(file.reopen().unwrap())), content)
            .await;
        assert!(fs::read(file.path()).unwrap() == source, "the source is not changed");
        put
    }

    fn temporary_files(&self) -> usize {
        fs::read_dir(self.path(".xact-uploads")).unwrap().count()
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

fn is_invalid_path<T>(result: &Result<T, FileError>) -> bool {
    matches!(result, Err(FileError::InvalidPath { .. }))
}

#[tokio::test]
async fn a_file_is_written_looked_up_listed_and_overwritten() {
    let lake = lake();
    assert!(!lake.holds("a/b/x.pdf", b"new").await);
    assert!(lake.store.list("").await.unwrap().is_empty());
    for (path, content) in [
        ("a/b/x.pdf", &b"old content"[..]),
        ("a/b/x.pdf", b"old content"),
        ("a/y.pdf", b"new"),
        ("a/b/x.pdf", b"new"),
    ] {
        lake.put(path, content).await.unwrap();
    }
    assert!(lake.holds("a/b/x.pdf", b"new").await);
    let is_other = !lake.holds("a/b/x.pdf", b"nex").await;
    assert!(is_other, "of the same length, but different");
    assert!(!lake.holds("a/b/x.pdf", b"newer").await);
    assert!(!lake.holds("a/b", b"").await, "a folder is not a file");
    assert_eq!(lake.read("a/b/x.pdf"), b"new");
    let all = vec![("a/b/x.pdf".to_owned(), 3), ("a/y.pdf".to_owned(), 3)];
    assert_eq!(lake.store.list("").await.unwrap(), all);
    assert_eq!(lake.store.list("a/b/").await.unwrap(), all[..1]);
    assert_eq!(lake.store.list("nothing").await.unwrap(), []);
}

#[tokio::test]
async fn an_empty_file_and_a_large_one_are_written_completely() {
    let lake = lake();
    lake.put("empty", b"").await.unwrap();
    assert!(lake.holds("empty", b"").await);
    let content: Vec<u8> = (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect();
    lake.put("big", &content).await.unwrap();
    assert!(lake.read("big") == content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_of_one_path_leave_one_complete_file_and_readers_never_get_less() {
    const BYTES: usize = 3_000_000;
    let lake = Arc::new(lake());
    lake.put("a/x", &[0; BYTES]).await.unwrap();
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..6_u8 {
        let lake = Arc::clone(&lake);
        puts.spawn(async move {
            for _ in 0..3 {
                lake.put("a/x", &vec![n; BYTES]).await.unwrap();
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
    lake.put("a/x", b"abc").await.unwrap();
    let path = ".xact-uploads/0b7c.part";
    let leftover = lake.path(path);
    fs::write(&leftover, b"ab").unwrap();
    assert_eq!(lake.store.list("").await.unwrap(), [("a/x".to_owned(), 3)]);
    lake.put("a/x", b"abc").await.unwrap();
    assert_eq!(lake.read("a/x"), b"abc");

    // An upload that is still running is younger.
    let hour = Duration::from_secs(3600);
    assert!(lake.store.leftovers(hour).await.unwrap().is_empty());
    let file = fs::File::options().write(true).open(&leftover).unwrap();
    file.set_modified(SystemTime::now() - 24 * hour).unwrap();
    assert_eq!(lake.store.leftovers(hour).await.unwrap(), [(path.to_owned(), 2)]);
    assert!(is_invalid_path(&lake.store.delete_leftover("a/x").await));
    lake.store.delete_leftover(path).await.unwrap();
    lake.store.delete_leftover(path).await.unwrap();
    assert!(!leftover.exists());
    assert_eq!(lake.read("a/x"), b"abc");
}

#[tokio::test]
async fn a_refused_path_changes_nothing() {
    let lake = lake();
    for path in ["", "/abs", "../x", "a/../../x", "a//b", "a/", "a\0b", "a\\b", "."] {
        assert!(is_invalid_path(&lake.put(path, b"abc").await), "{path:?}");
        let content = Content { bytes: 3, sha256: "" };
        assert!(is_invalid_path(&lake.store.holds(path, content).await), "{path:?}");
    }
    assert!(is_invalid_path(&lake.store.list("../").await));
    assert!(!lake.path("").exists());
    assert!(!lake.folder.path().join("x").exists());
}

#[tokio::test]
async fn a_file_name_that_is_a_folder_is_an_invalid_path() {
    let lake = lake();
    lake.put("a/x", b"abc").await.unwrap();
    for path in ["a", "a/x/y", "a/x/y/z"] {
        assert!(is_invalid_path(&lake.put(path, b"abc").await), "{path:?}");
    }
    assert_eq!(lake.read("a/x"), b"abc");
}

#[tokio::test]
async fn a_changed_source_is_reported_and_the_old_file_is_kept() {
    let lake = lake();
    lake.put("x", b"abc").await.unwrap();
    for announced in [2, 4] {
        let put = lake.put_announced("x", b"abc", announced).await;
        assert!(matches!(put, Err(FileError::SourceChanged { .. })), "{put:?}");
    }
    assert_eq!(lake.read("x"), b"abc");
    assert_eq!(lake.temporary_files(), 0);
}

#[tokio::test]
async fn a_root_that_is_not_a_folder_is_reported_as_unavailable() {
    let lake = lake();
    fs::write(lake.folder.path().join("lake"), b"in the way").unwrap();
    let put = lake.put("a/x", b"abc").await;
    for error in [put.unwrap_err(), lake.store.probe().await.unwrap_err()] {
        assert!(matches!(error, FileError::Unavailable { .. }));
        assert!(error.to_string().contains("may write there"), "{error}");
    }
}

#[tokio::test]
async fn the_probe_leaves_no_file() {
    let lake = lake();
    lake.store.probe().await.unwrap();
    assert_eq!(lake.temporary_files(), 0);
    assert!(lake.store.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_source_in_memory_is_written_unless_it_has_other_content() {
    let lake = lake();
    let sha256 = hex::encode(Sha256::digest(b"hello"));
    let content = Content {
        bytes: 5,
        sha256: &sha256,
    };
    let put = async |path, bytes| {
        let source = FileSource::Bytes(Bytes::from_static(bytes));
        lake.store.put_file(path, source, content).await
    };
    put("a.pdf", b"hello").await.unwrap();
    assert_eq!(lake.read("a.pdf"), b"hello");
    for other in [&b"hell"[..], b"world"] {
        let put = put("b.pdf", other).await;
        assert!(matches!(put, Err(FileError::SourceChanged { .. })), "{put:?}");
    }
    assert!(!lake.path("b.pdf").exists());
    assert_eq!(lake.temporary_files(), 0);
}
