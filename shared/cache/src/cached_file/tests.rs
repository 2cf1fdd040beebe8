use std::path::Path;

use super::*;
use crate::test_cache::{TestCache, link, put};

const LAYOUTS: [Layout; 2] = [Layout::Current, Layout::Previous];

/// Opens the attachment's file, which is announced with five bytes.
async fn open(cache: &TestCache, layout: Layout) -> io::Result<Lookup> {
    cache.cache.open(cache.id, layout, 5).await
}

async fn found(cache: &TestCache, layout: Layout) -> CachedFile {
    match open(cache, layout).await.unwrap() {
        Lookup::Found(file) => file,
        Lookup::Unusable(why) => panic!("{why}"),
    }
}

async fn unusable(cache: &TestCache, layout: Layout) -> &'static str {
    match open(cache, layout).await.unwrap() {
        Lookup::Found(_) => panic!("it is not the file"),
        Lookup::Unusable(why) => why,
    }
}

#[tokio::test]
async fn only_a_file_of_the_announced_size_is_found_in_both_layouts() {
    for layout in LAYOUTS {
        let cache = TestCache::new();
        let path = cache.path(layout);
        assert_eq!(unusable(&cache, layout).await, "it does not exist");
        put(&path, "hell");
        assert_eq!(unusable(&cache, layout).await, "it does not have the announced size");
        assert!(!path.exists(), "the download stage must not find it");
        put(&path, "hello");
        found(&cache, layout).await.remove().await;
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn the_folder_of_the_previous_layout_is_removed_with_all_that_is_in_it() {
    let cache = TestCache::new();
    let path = cache.path(Layout::Previous);
    let folder = path.parent().unwrap();
    for name in ["file", "note.json", "other.part"] {
        put(&folder.join(name), "hello");
    }
    found(&cache, Layout::Previous).await.remove().await;
    assert!(!folder.exists());
    // What a killed upload left of it is removed without the file.
    put(&folder.join("note.json"), "{}");
    cache.cache.remove(cache.id, Layout::Previous).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn planted_links_are_not_followed() {
    for layout in LAYOUTS {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        put(&secret, "hello");

        // The file itself, whether the target is outside or in the cache.
        let cache = TestCache::new();
        let inside = cache.root.path().join("target");
        put(&inside, "hello");
        for target in [secret.as_path(), &inside, Path::new("../target")] {
            link(target, &cache.path(layout));
            assert_eq!(unusable(&cache, layout).await, "it is not a regular file");
            std::fs::remove_file(cache.path(layout)).unwrap();
        }

        // Its folder, and in the previous layout the folder of that: nothing outside is read or removed.
        let cache = TestCache::new();
        let path = cache.path(layout);
        for at in path.ancestors().skip(1).take_while(|at| *at != cache.root.path()) {
            let target = outside.path().join(path.strip_prefix(at).unwrap());
            put(&target, "hello");
            let _ = std::fs::remove_dir(at);
            link(outside.path(), at);
            let Err(error) = open(&cache, layout).await else {
                panic!("{}", at.display());
            };
            assert!(error.to_string().contains("remove it"), "{}: {error}", at.display());
            cache.cache.remove(cache.id, layout).await;
            assert_eq!(std::fs::read(&target).unwrap(), b"hello", "nothing outside is removed");
            std::fs::remove_file(at).unwrap();
        }
        assert_eq!(std::fs::read(&secret).unwrap(), b"hello");
    }
}

#[tokio::test]
async fn a_pipe_does_not_block_and_a_folder_is_not_a_file() {
    for layout in LAYOUTS {
        let cache = TestCache::new();
        let path = cache.path(layout);
        std::fs::create_dir_all(&path).unwrap();
        assert_eq!(unusable(&cache, layout).await, "it is not a regular file");
        std::fs::remove_dir(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(unusable(&cache, layout).await, "it is not a regular file");
    }
}
