//! Files in OneLake, as the emulator answers for it: whole or not at all, whatever goes wrong on the way.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onelake_emulator::{Fault, Rule, Verb};
use sha2::{Digest, Sha256};
use support::{EMULATOR, ITEM, WORKSPACE};
use uuid::Uuid;
use xact_lake::{Content, FileError, FileStore, Location, open};

/// More than two pieces, and no whole number of them.
const BYTES: usize = 5 * 1024 * 1024 + 17;

/// A folder of a test's own in the item's Files.
struct Files {
    store: Arc<dyn FileStore>,
    /// Where they are on this machine.
    folder: PathBuf,
    /// As rules of faults name it.
    path: String,
}

impl Files {
    fn new() -> Self {
        let path = format!("Files/{}", Uuid::new_v4());
        let location = EMULATOR.location(&path);
        Self {
            store: open(&location, &EMULATOR.connection(&location)).unwrap(),
            folder: EMULATOR.root.join("data").join(WORKSPACE).join(ITEM).join(&path),
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

    async fn put_source(&self, path: &str, source: File, announced: &[u8]) -> Result<(), FileError> {
        let sha256 = hex::encode(Sha256::digest(announced));
        self.store
            .put_file(path, Arc::new(source), content(announced, &sha256))
            .await
    }

    async fn holds(&self, path: &str, bytes: &[u8]) -> bool {
        let sha256 = hex::encode(Sha256::digest(bytes));
        self.store.holds(path, content(bytes, &sha256)).await.unwrap()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(path)).unwrap()
    }

    /// What is left of attempts.
    fn temporary(&self) -> usize {
        std::fs::read_dir(self.folder.join(".xact-uploads")).map_or(0, Iterator::count)
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
async fn a_file_is_put_looked_up_listed_and_overwritten() {
    let files = Files::new();
    assert!(files.store.list("").await.unwrap().is_empty());
    assert!(!files.holds("a/b/x.pdf", b"new").await);
    files.put("a/b/x.pdf", &pattern(1)).await.unwrap();
    assert!(files.holds("a/b/x.pdf", &pattern(1)).await);
    assert!(!files.holds("a/b/x.pdf", &pattern(2)).await, "as long, but another");
    files.put("a/b/x.pdf", b"new").await.unwrap();
    files.put("a/y ü (1).pdf", b"").await.unwrap();
    assert!(files.holds("a/b/x.pdf", b"new").await && files.holds("a/y ü (1).pdf", b"").await);
    assert_eq!(files.read("a/b/x.pdf"), b"new");
    let all = vec![("a/b/x.pdf".to_owned(), 3), ("a/y ü (1).pdf".to_owned(), 0)];
    assert_eq!(files.store.list("").await.unwrap(), all);
    assert_eq!(files.store.list("a/b").await.unwrap(), all[..1]);
    assert_eq!(files.temporary(), 0);
}

#[tokio::test]
async fn a_file_that_others_wrote_is_known_by_its_bytes() {
    let files = Files::new();
    files.put("x", b"ours").await.unwrap();
    std::fs::write(files.folder.join("theirs"), pattern(3)).unwrap();
    assert!(files.holds("theirs", &pattern(3)).await);
    assert!(!files.holds("theirs", &pattern(4)).await);
}

#[tokio::test]
async fn whatever_goes_wrong_once_is_mended_in_place() {
    for fault in Fault::all().filter(|fault| !matches!(fault, Fault::Forbidden | Fault::Slow)) {
        for verb in [
            Verb::CreateFile,
            Verb::Append,
            Verb::Flush,
            Verb::Properties,
            Verb::Rename,
        ] {
            let files = Files::new();
            files.put("x", b"old").await.unwrap();
            files.fault(Rule {
                retry_after_seconds: 0,
                ..Rule::on(fault, verb)
            });
            files
                .put("x", &pattern(5))
                .await
                .unwrap_or_else(|error| panic!("{fault} on {verb}: {error}"));
            assert!(files.read("x") == pattern(5), "{fault} on {verb}");
            assert_eq!(files.temporary(), 0, "{fault} on {verb}");
        }
    }
}

#[tokio::test]
async fn a_storage_that_stays_away_leaves_the_old_file_and_says_what_it_said() {
    let files = Files::new();
    files.put("x", b"old").await.unwrap();
    files.fault(Rule::on(Fault::Forbidden, Verb::Append));
    let error = files.put("x", b"new").await.unwrap_err();
    assert!(matches!(error, FileError::Unavailable { .. }));
    let text = error.to_string();
    assert!(
        text.contains("role Contributor") && text.contains(WORKSPACE) && text.contains("403"),
        "{text}"
    );
    assert_eq!(files.read("x"), b"old");
    assert_eq!(files.temporary(), 0);
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_told_with_what_to_check() {
    let files = Files::new();
    files.fault(Rule::on(Fault::Expired, Verb::CreateFile).times(2));
    let text = files.put("x", b"new").await.unwrap_err().to_string();
    assert!(
        text.contains("refuses the token") && text.contains("AZURE_TENANT_ID"),
        "{text}"
    );
    assert!(!text.contains("token-of-the-tests"), "{text}");
}

#[tokio::test]
async fn a_source_that_has_changed_is_told_and_leaves_the_old_file() {
    let files = Files::new();
    files.put("x", b"old").await.unwrap();
    let source = || {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(b"abc").unwrap();
        source
    };
    assert!(matches!(
        files.put_source("x", source(), b"abcd").await,
        Err(FileError::SourceChanged { found: 3, .. })
    ));
    assert_eq!(files.read("x"), b"old");
    // What follows the content in its file is not the content.
    files.put_source("y", source(), b"ab").await.unwrap();
    assert_eq!(files.read("y"), b"ab");
    assert_eq!(files.temporary(), 0);
}

#[tokio::test]
async fn a_name_that_one_lake_refuses_or_that_is_a_folder_is_the_messages_trouble() {
    let files = Files::new();
    files.put("a/x", b"abc").await.unwrap();
    for path in ["a", "a/x/y", "a:b", "a/b.", "../x", "a\\b"] {
        assert!(
            matches!(files.put(path, b"abc").await, Err(FileError::InvalidPath { .. })),
            "{path:?}"
        );
    }
    assert_eq!(files.read("a/x"), b"abc");
}

#[tokio::test]
async fn two_at_one_path_leave_one_of_them_whole() {
    let files = Arc::new(Files::new());
    let mut puts = tokio::task::JoinSet::new();
    for seed in 0..6 {
        let files = Arc::clone(&files);
        puts.spawn(async move { files.put("x", &pattern(seed)).await.unwrap() });
    }
    while let Some(put) = puts.join_next().await {
        put.unwrap();
        let seen = files.read("x");
        assert!((0..6).any(|seed| seen == pattern(seed)), "two writers are mixed");
    }
    assert_eq!(files.temporary(), 0);
}

#[tokio::test]
async fn the_probe_leaves_nothing_and_names_what_is_missing() {
    let files = Files::new();
    files.store.probe().await.unwrap();
    assert!(files.store.list("").await.unwrap().is_empty());
    assert_eq!(files.temporary(), 0);
    let Location::OneLake { host, .. } = EMULATOR.location("Files") else {
        panic!("it is in OneLake");
    };
    for (place, wanted) in [
        (format!("abfss://nobody@{host}/{ITEM}/Files/x"), "check the workspace"),
        (
            format!("abfss://{WORKSPACE}@{host}/Other.Lakehouse/Files/x"),
            "check the workspace",
        ),
    ] {
        let location = Location::parse(&place).unwrap();
        let store = open(&location, &EMULATOR.connection(&location)).unwrap();
        let text = store.probe().await.unwrap_err().to_string();
        assert!(text.contains(wanted), "{place}: {text}");
    }
}

#[tokio::test]
async fn what_a_killed_upload_left_is_swept_when_it_is_old() {
    let files = Files::new();
    files.put("x", b"abc").await.unwrap();
    let leftover = files.folder.join(".xact-uploads/0b7c.part");
    std::fs::write(&leftover, b"ab").unwrap();
    assert_eq!(files.store.list("").await.unwrap(), [("x".to_owned(), 3)]);
    let hour = Duration::from_secs(3600);
    assert_eq!(files.store.sweep(hour).await.unwrap(), 0);
    let file = File::options().write(true).open(&leftover).unwrap();
    file.set_modified(std::time::SystemTime::now() - 24 * hour).unwrap();
    assert_eq!(files.store.sweep(hour).await.unwrap(), 1);
    assert!(!leftover.exists() && files.holds("x", b"abc").await);
}
