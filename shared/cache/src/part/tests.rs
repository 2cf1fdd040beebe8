use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::Cache;

fn now() -> Timestamp {
    "2025-01-01T00:00:00Z".parse().unwrap()
}

fn files(root: &Path, media_id: Uuid) -> Vec<PathBuf> {
    let shard = std::fs::read_dir(root.join(cache_path::shard(media_id)));
    shard.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// Waits until the shard holds nothing: a part is removed in the background.
async fn wait_empty(root: &Path, media_id: Uuid) {
    let empty = async {
        while !files(root, media_id).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), empty).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_attempt_removes_its_part() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::create(root.path()).unwrap();
    let id = Uuid::new_v4();
    let mut part = cache.slot(id).await.new_part();
    part.write(&[0; BUFFER_BYTES]).await.unwrap();
    let [written] = &files(root.path(), id)[..] else {
        panic!("it has one part");
    };
    assert_eq!(
        cache_path::kind(written.file_name().unwrap().to_str().unwrap()),
        Some(cache_path::Kind::Part)
    );
    drop(part);
    wait_empty(root.path(), id).await;
}

#[tokio::test]
async fn an_unfinished_part_is_never_found_as_a_complete_file() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::create(root.path()).unwrap();
    let id = Uuid::new_v4();
    let slot = cache.slot(id).await;
    let mut part = slot.new_part();
    part.write(&[0; BUFFER_BYTES]).await.unwrap();
    // A killed process runs no destructor.
    std::mem::forget(part);
    assert_eq!(slot.complete_file().await, None);
    // The next attempt is not hindered by it.
    let mut part = slot.new_part();
    part.write(b"hello").await.unwrap();
    let cached = part.finish(ContentKind::default(), now()).await.unwrap();
    assert_eq!(slot.complete_file().await, Some(cached));
}

#[tokio::test]
async fn a_large_file_is_written_in_pieces() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::create(root.path()).unwrap();
    let id = Uuid::new_v4();
    let slot = cache.slot(id).await;
    let mut part = slot.new_part();
    let piece = [7; BUFFER_BYTES / 2 + 1];
    for _ in 0..5 {
        part.write(&piece).await.unwrap();
    }
    let kind = ContentKind {
        content_type: Some("image/png".to_owned()),
        ..ContentKind::default()
    };
    let cached = part.finish(kind, now()).await.unwrap();
    assert_eq!(cached.bytes, 5 * piece.len() as u64);
    assert_eq!(slot.complete_file().await.as_ref(), Some(&cached));
    let whole = std::fs::read(root.path().join(cache_path::file(id))).unwrap();
    let (content, _) = whole.split_at(5 * piece.len());
    assert_eq!(hex::encode(Sha256::digest(content)), cached.sha256);
    assert_eq!(files(root.path(), id).len(), 1);
}

#[tokio::test]
async fn an_attempt_whose_part_was_removed_fails_and_the_next_one_succeeds() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::create(root.path()).unwrap();
    let id = Uuid::new_v4();
    let slot = cache.slot(id).await;
    let mut part = slot.new_part();
    part.write(&[0; BUFFER_BYTES]).await.unwrap();
    // As the janitor does when a process was suspended for long.
    std::fs::remove_dir_all(root.path().join(cache_path::shard(id))).unwrap();
    assert!(part.finish(ContentKind::default(), now()).await.is_err());
    assert_eq!(files(root.path(), id), Vec::<PathBuf>::new());
    assert!(
        slot.new_part().finish(ContentKind::default(), now()).await.is_ok(),
        "the shard is created again"
    );
    assert!(slot.complete_file().await.is_some());
}

#[tokio::test]
async fn a_part_that_cannot_be_renamed_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::create(root.path()).unwrap();
    let id = Uuid::new_v4();
    let in_the_way = root.path().join(cache_path::file(id)).join("not-empty");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let error = cache
        .slot(id)
        .await
        .new_part()
        .finish(ContentKind::default(), now())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("CACHE_DIR"), "{error}");
    assert_eq!(files(root.path(), id).len(), 1);
    std::fs::remove_dir_all(root.path().join(cache_path::file(id))).unwrap();
    assert!(
        cache
            .slot(id)
            .await
            .new_part()
            .finish(ContentKind::default(), now())
            .await
            .is_ok()
    );
}

#[test]
fn a_part_that_outlives_its_runtime_is_dropped_without_harm() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::create(root.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let part = runtime.block_on(async {
        let mut part = cache.slot(Uuid::new_v4()).await.new_part();
        part.write(&[0; BUFFER_BYTES]).await.unwrap();
        part
    });
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    // The handle of a runtime that has ended accepts tasks and does not run them.
    let _entered = handle.enter();
    drop(part);
}

#[test]
fn an_error_for_a_folder_that_cannot_be_created_says_what_to_check() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let Err(error) = Cache::create(&file.path().join("cache")) else {
        panic!("a file is not a folder");
    };
    assert!(error.to_string().contains("check that the volume is mounted"));
}
