use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::test_cache::{TestCache, finish, put, write};
use xact_contracts::cache_path::Layout;

/// A slot with a part of which something is on the volume.
async fn written_part(cache: &TestCache) -> Part {
    let mut part = cache.slot().await.new_part();
    part.write(&[0; BUFFER_BYTES]).await.unwrap();
    part
}

#[tokio::test]
async fn a_cancelled_attempt_removes_its_part() {
    let cache = TestCache::new();
    let part = written_part(&cache).await;
    let [written] = &cache.files()[..] else {
        panic!("it has one part");
    };
    let name = written.file_name().unwrap().to_str().unwrap();
    assert_eq!(cache_path::kind(name), Some(cache_path::Kind::Part));
    drop(part);
    // It is removed in the background.
    let removed = async {
        while !cache.files().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), removed).await.unwrap();
}

#[tokio::test]
async fn an_unfinished_part_is_never_found_as_a_complete_file() {
    let cache = TestCache::new();
    // A killed process runs no destructor.
    std::mem::forget(written_part(&cache).await);
    let slot = cache.slot().await;
    assert_eq!(slot.complete_file().await, None);
    // The next attempt is not hindered by it.
    let cached = write(&slot, b"hello").await;
    assert_eq!(slot.complete_file().await, Some(cached));
}

#[tokio::test]
async fn a_large_file_is_written_in_pieces() {
    let cache = TestCache::new();
    let slot = cache.slot().await;
    let mut part = slot.new_part();
    let piece = [7; BUFFER_BYTES / 2 + 1];
    for _ in 0..5 {
        part.write(&piece).await.unwrap();
    }
    let kind = ContentKind {
        content_type: Some("image/png".to_owned()),
        ..ContentKind::default()
    };
    let cached = part.finish(kind, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(cached.bytes, 5 * piece.len() as u64);
    assert_eq!(slot.complete_file().await.as_ref(), Some(&cached));
    let whole = std::fs::read(cache.path(Layout::Current)).unwrap();
    let (content, _) = whole.split_at(5 * piece.len());
    assert_eq!(hex::encode(Sha256::digest(content)), cached.sha256);
    assert_eq!(cache.files().len(), 1);
}

#[tokio::test]
async fn an_attempt_whose_part_was_removed_fails_and_the_next_one_succeeds() {
    let cache = TestCache::new();
    let part = written_part(&cache).await;
    // As the janitor does when a process was suspended for long.
    std::fs::remove_dir_all(cache.root.path().join(cache_path::shard(cache.id))).unwrap();
    assert!(finish(part).await.is_err());
    assert_eq!(cache.files(), Vec::<PathBuf>::new());
    let slot = cache.slot().await;
    assert!(finish(slot.new_part()).await.is_ok(), "the shard is created again");
    assert!(slot.complete_file().await.is_some());
}

#[tokio::test]
async fn a_part_that_cannot_be_renamed_is_removed() {
    let cache = TestCache::new();
    let in_the_way = cache.path(Layout::Current);
    put(&in_the_way.join("not-empty"), "");
    let slot = cache.slot().await;
    let error = finish(slot.new_part()).await.unwrap_err().to_string();
    assert!(error.contains("CACHE_DIR"), "{error}");
    assert_eq!(cache.files().len(), 1);
    std::fs::remove_dir_all(in_the_way).unwrap();
    assert!(finish(slot.new_part()).await.is_ok());
}

#[test]
fn a_part_that_outlives_its_runtime_is_dropped_without_harm() {
    let cache = TestCache::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let part = runtime.block_on(written_part(&cache));
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    // The handle of a runtime that has ended accepts tasks and does not run them.
    let _entered = handle.enter();
    drop(part);
}
