//! Files in OneLake, with the emulator: with any fault, a file is written completely or not at all.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use onelake_emulator::{Fault, Rule, Verb};
use support::{EMULATOR, ITEM, WORKSPACE, names_in};
use xact_contracts::onelake_billing::Protocol;
use xact_lake::{Content, FileError, FileSource, FileStore, Location, open};

/// Two blocks, of which the second is short.
const BYTES: usize = 5 * 1024 * 1024 + 17;

/// The folder of one test in the item's Files.
struct Files {
    store: Arc<dyn FileStore>,
    /// Where they are on this machine.
    folder: PathBuf,
    /// The path for rules of faults.
    path: String,
}

impl Files {
    fn new() -> Self {
        let path = format!("Files/{}", Uuid::new_v4());
        let location = EMULATOR.location(&path);
        Self {
            store: open(&location, &EMULATOR.connection(&location)).unwrap(),
            folder: EMULATOR.data(WORKSPACE).join(ITEM).join(&path),
            path: format!("/{WORKSPACE}/{ITEM}/{path}"),
        }
    }

    fn fault(&self, rule: Rule) {
        EMULATOR.server.add_fault(rule.below(&self.path));
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(bytes).unwrap();
        self.put_source(path, source, bytes).await
    }

    async fn put_in_memory(&self, path: &str, bytes: &'static [u8], announced: &[u8]) -> Result<(), FileError> {
        let sha256 = hex::encode(Sha256::digest(announced));
        let source = FileSource::Bytes(Bytes::from_static(bytes));
        self.store.put_file(path, source, content(announced, &sha256)).await
    }

    async fn put_source(&self, path: &str, source: File, announced: &[u8]) -> Result<(), FileError> {
        let sha256 = hex::encode(Sha256::digest(announced));
        let content = content(announced, &sha256);
        self.store
            .put_file(path, FileSource::File(Arc::new(source)), content)
            .await
    }

    async fn holds(&self, path: &str, bytes: &[u8]) -> bool {
        let sha256 = hex::encode(Sha256::digest(bytes));
        self.store.holds(path, content(bytes, &sha256)).await.unwrap()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(path)).unwrap()
    }

    /// Names of all files, temporary ones included.
    fn read_all(&self) -> Vec<String> {
        if self.folder.exists() {
            names_in(&self.folder)
        } else {
            Vec::new()
        }
    }
}

fn content<'a>(bytes: &[u8], sha256: &'a str) -> Content<'a> {
    Content {
        bytes: bytes.len() as u64,
        sha256,
    }
}

fn pattern(seed: u8) -> Vec<u8> {
    (0..BYTES).map(|n| (n % 251) as u8 ^ seed).collect()
}

#[tokio::test]
async fn a_file_is_written_looked_up_listed_and_overwritten() {
    let files = Files::new();
    assert!(files.store.list("").await.unwrap().is_empty());
    assert!(!files.holds("a/b/x.pdf", b"new").await);
    files.put("a/b/x.pdf", &pattern(1)).await.unwrap();
    assert!(files.holds("a/b/x.pdf", &pattern(1)).await);
    let is_other = !files.holds("a/b/x.pdf", &pattern(2)).await;
    assert!(is_other, "of the same length, but different");
    files.put("a/b/x.pdf", b"new").await.unwrap();
    files.put("a/y ü (1).pdf", b"").await.unwrap();
    assert!(files.holds("a/b/x.pdf", b"new").await && files.holds("a/y ü (1).pdf", b"").await);
    assert_eq!(files.read("a/b/x.pdf"), b"new");
    let all = vec![("a/b/x.pdf".to_owned(), 3), ("a/y ü (1).pdf".to_owned(), 0)];
    assert_eq!(files.store.list("").await.unwrap(), all);
    assert_eq!(files.store.list("a/b").await.unwrap(), all[..1]);
}

#[tokio::test]
async fn a_file_of_another_program_is_compared_by_its_content() {
    let files = Files::new();
    files.put("x", b"ours").await.unwrap();
    std::fs::write(files.folder.join("theirs"), pattern(3)).unwrap();
    assert!(files.holds("theirs", &pattern(3)).await);
    assert!(!files.holds("theirs", &pattern(4)).await);
}

/// A file in one request, and one in blocks.
fn both_sizes() -> [Vec<u8>; 2] {
    [b"small".to_vec(), pattern(5)]
}

#[tokio::test]
async fn every_transient_fault_is_retried_successfully() {
    use Fault::{Conflict, Forbidden, IfNoneMatchRefused, Slow};
    // No retry of the request resolves these.
    let lasting = [Forbidden, Slow, Conflict, IfNoneMatchRefused];
    for content in both_sizes() {
        for fault in Fault::all().filter(|fault| !lasting.contains(fault)) {
            for verb in [Verb::PutBlob, Verb::PutBlock, Verb::PutBlockList, Verb::Properties] {
                for old in [None, Some(b"old")] {
                    let files = Files::new();
                    if let Some(old) = old {
                        files.put("x", old).await.unwrap();
                    }
                    files.fault(Rule {
                        retry_after_seconds: 0,
                        ..Rule::on(fault, verb)
                    });
                    let put = files.put("x", &content).await;
                    assert!(put.is_ok() && files.read("x") == content, "{fault} on {verb}: {put:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_repeated_upload_writes_nothing() {
    for content in both_sizes() {
        let files = Files::new();
        files.put("x", &content).await.unwrap();
        let written = || std::fs::metadata(files.folder.join("x")).unwrap().modified().unwrap();
        let before = written();
        files.put("x", &content).await.unwrap();
        assert_eq!(written(), before);
    }
}

#[tokio::test]
async fn an_unavailable_storage_leaves_the_old_file_and_its_reason_is_reported() {
    let files = Files::new();
    files.put("x", b"old").await.unwrap();
    files.fault(Rule::on(Fault::Forbidden, Verb::PutBlob));
    let error = files.put("x", b"new").await.unwrap_err();
    assert!(matches!(error, FileError::Unavailable { .. }));
    let text = error.to_string();
    let is_named = |part: &&str| text.contains(*part);
    assert!(["role Contributor", WORKSPACE, "403"].iter().all(is_named), "{text}");
    assert_eq!(files.read("x"), b"old");
}

#[tokio::test]
async fn an_error_names_the_endpoint_that_does_not_work() {
    for (rule, wanted) in [
        (Rule::on(Fault::IfNoneMatchRefused, Verb::PutBlob), "If-None-Match"),
        (Rule::on(Fault::Conflict, Verb::PutBlob), "409 BlobImmutableDueToPolicy"),
        (Rule::new(Fault::Forbidden), "role Contributor"),
        (
            Rule::new(Fault::CutBefore).over(Protocol::Blob),
            "The DFS endpoint answers",
        ),
    ] {
        let files = Files::new();
        files.fault(rule.every(1));
        let error = files.store.probe().await.unwrap_err();
        assert!(matches!(error, FileError::Unavailable { .. }));
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
        let is_left = files.store.list("").await.is_ok() && !files.read_all().is_empty();
        assert!(!is_left, "{wanted}");
    }
}

#[tokio::test]
async fn the_probe_remarks_on_storage_that_works_differently() {
    for (fault, wanted) in [
        (Fault::IfNoneMatchIgnored, "If-None-Match: * was ignored"),
        (Fault::MetadataDropped, "metadata is not kept"),
    ] {
        let files = Files::new();
        files.fault(Rule::new(fault).every(1));
        let remarks = files.store.probe().await.unwrap();
        assert!(remarks.iter().any(|remark| remark.contains(wanted)), "{remarks:?}");
        assert!(files.read_all().is_empty());
        // Uploads still work.
        files.put("x", b"new").await.unwrap();
        files.put("x", b"new").await.unwrap();
        assert!(files.holds("x", b"new").await);
    }
}

#[tokio::test]
async fn a_large_file_of_an_older_version_is_replaced() {
    let files = Files::new();
    std::fs::create_dir_all(&files.folder).unwrap();
    std::fs::write(files.folder.join("x"), pattern(1)).unwrap();
    files.put("x", &pattern(2)).await.unwrap();
    assert!(files.holds("x", &pattern(2)).await);
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_reported_with_what_to_check() {
    let files = Files::new();
    files.fault(Rule::on(Fault::Expired, Verb::PutBlob).times(2));
    let text = files.put("x", b"new").await.unwrap_err().to_string();
    assert!(text.contains("refuses the token"), "{text}");
    assert!(text.contains("AZURE_TENANT_ID"), "{text}");
    assert!(!text.contains("token-of-the-tests"), "{text}");
}

#[tokio::test]
async fn a_changed_source_is_reported_and_the_old_file_is_kept() {
    let files = Files::new();
    files.put("x", b"old").await.unwrap();
    let large = pattern(1);
    for (source, announced) in [
        (&b"abc"[..], &b"abcd"[..]),
        (b"abc", b"abd"),
        (&large[..BYTES - 1], &large),
        (&large, &pattern(2)),
    ] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(source).unwrap();
        let put = files.put_source("x", file, announced).await;
        assert!(matches!(put, Err(FileError::SourceChanged { .. })), "{put:?}");
    }
    assert_eq!(files.read("x"), b"old");
}

#[tokio::test]
async fn a_name_that_one_lake_refuses_or_that_is_a_folder_is_an_invalid_path() {
    let files = Files::new();
    files.put("a/x", b"abc").await.unwrap();
    for content in both_sizes() {
        for path in ["a", "a/x/y", "a:b", "a/b.", "../x", "a\\b"] {
            let put = files.put(path, &content).await;
            assert!(matches!(put, Err(FileError::InvalidPath { .. })), "{path:?}: {put:?}");
        }
    }
    assert_eq!(files.read("a/x"), b"abc");
}

#[tokio::test]
async fn concurrent_uploads_of_one_path_leave_one_complete_file() {
    let files = Arc::new(Files::new());
    let mut puts = tokio::task::JoinSet::new();
    for seed in 0..6 {
        let files = Arc::clone(&files);
        puts.spawn(async move {
            // The block list of one upload discards the blocks of the others, which are then repeated, as the stage does.
            while let Err(error) = files.put("x", &pattern(seed)).await {
                assert!(error.to_string().contains("InvalidBlockList"), "{error}");
            }
        });
    }
    while let Some(put) = puts.join_next().await {
        put.unwrap();
        let seen = files.read("x");
        assert!((0..6).any(|seed| seen == pattern(seed)), "two writers are mixed");
    }
}

#[tokio::test]
async fn the_probe_leaves_no_file_and_names_what_is_missing() {
    let files = Files::new();
    files.store.probe().await.unwrap();
    assert!(files.store.list("").await.unwrap().is_empty());
    let Location::OneLake { host, .. } = EMULATOR.location("Files") else {
        panic!("it is in OneLake");
    };
    for (workspace, item) in [("nobody", ITEM), (WORKSPACE, "Other.Lakehouse")] {
        let location = Location::parse(&format!("abfss://{workspace}@{host}/{item}/Files/x")).unwrap();
        let store = open(&location, &EMULATOR.connection(&location)).unwrap();
        let text = store.probe().await.unwrap_err().to_string();
        assert!(text.contains("check the workspace"), "{location}: {text}");
    }
}

#[tokio::test]
async fn unfinished_files_of_an_older_version_are_listed_after_a_while_and_can_be_deleted() {
    let files = Files::new();
    files.put("x", b"abc").await.unwrap();
    assert!(files.store.leftovers(Duration::ZERO).await.unwrap().is_empty());
    let leftover = files.folder.join(".xact-uploads/0b7c.part");
    std::fs::create_dir(leftover.parent().unwrap()).unwrap();
    std::fs::write(&leftover, b"ab").unwrap();
    assert_eq!(files.store.list("").await.unwrap(), [("x".to_owned(), 3)]);
    let hour = Duration::from_secs(3600);
    assert!(files.store.leftovers(hour).await.unwrap().is_empty());
    let file = File::options().write(true).open(&leftover).unwrap();
    file.set_modified(std::time::SystemTime::now() - 24 * hour).unwrap();
    let path = ".xact-uploads/0b7c.part";
    assert_eq!(files.store.leftovers(hour).await.unwrap(), [(path.to_owned(), 2)]);
    let refused = files.store.delete_leftover("x").await;
    assert!(matches!(refused, Err(FileError::InvalidPath { .. })), "{refused:?}");
    for _ in 0..2 {
        files.store.delete_leftover(path).await.unwrap();
    }
    assert!(!leftover.exists() && files.holds("x", b"abc").await);
}

#[tokio::test]
async fn a_source_in_memory_is_written_unless_it_has_other_content() {
    let files = Files::new();
    files.put_in_memory("a.pdf", b"hello", b"hello").await.unwrap();
    assert_eq!(files.read("a.pdf"), b"hello");
    for other in [&b"hell"[..], b"world"] {
        let put = files.put_in_memory("b.pdf", other, b"hello").await;
        assert!(matches!(put, Err(FileError::SourceChanged { .. })), "{put:?}");
    }
    assert!(!files.holds("b.pdf", b"hello").await);
}
