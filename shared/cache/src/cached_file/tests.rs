use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::{Cache, ContentKind};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

struct Bench {
    root: tempfile::TempDir,
    cache: Cache,
    media_id: Uuid,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path());
        let media_id = Uuid::new_v4();
        Self { root, cache, media_id }
    }

    fn path(&self, layout: Layout) -> PathBuf {
        self.root.path().join(match layout {
            Layout::Current => cache_path::file(self.media_id),
            Layout::Previous => cache_path::previous_file(self.media_id),
        })
    }

    fn put(&self, layout: Layout, content: &str) {
        let path = self.path(layout);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    async fn open(&self, layout: Layout, bytes: u64) -> io::Result<Lookup> {
        self.cache.open(self.media_id, layout, bytes).await
    }

    async fn unusable(&self, layout: Layout, bytes: u64) -> &'static str {
        match self.open(layout, bytes).await.unwrap() {
            Lookup::Found(_) => panic!("it is not the file"),
            Lookup::Unusable(why) => why,
        }
    }
}

fn link(target: &Path, at: &Path) {
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, at).unwrap();
}

#[tokio::test]
async fn only_a_file_of_the_announced_size_is_found_in_both_layouts() {
    for layout in [Layout::Current, Layout::Previous] {
        let bench = Bench::new();
        assert_eq!(bench.unusable(layout, 5).await, "it does not exist");
        bench.put(layout, "hell");
        assert_eq!(bench.unusable(layout, 5).await, "it does not have the announced size");
        assert!(!bench.path(layout).exists(), "the download stage must not find it");
        bench.put(layout, "hello");
        let Ok(Lookup::Found(file)) = bench.open(layout, 5).await else {
            panic!("it is the file");
        };
        file.remove().await;
        assert!(!bench.path(layout).exists());
    }
}

#[tokio::test]
async fn a_file_that_the_download_stage_completed_is_found() {
    let bench = Bench::new();
    let slot = Cache::create(bench.root.path()).unwrap().slot(bench.media_id).await;
    let mut part = slot.new_part();
    part.write(b"hello").await.unwrap();
    let cached = part
        .finish(ContentKind::default(), "2025-01-01T00:00:00Z".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((cached.bytes, cached.sha256.as_str()), (5, HELLO));
    let Ok(Lookup::Found(file)) = bench.open(Layout::Current, 5).await else {
        panic!("it is the file");
    };
    let mut content = [0; 5];
    file.content().read_exact_at(&mut content, 0).unwrap();
    assert_eq!(&content, b"hello");
    file.remove().await;
    assert_eq!(slot.complete_file().await, None);
}

#[tokio::test]
async fn the_folder_of_the_previous_layout_is_removed_with_all_that_is_in_it() {
    let bench = Bench::new();
    bench.put(Layout::Previous, "hello");
    let folder = bench.path(Layout::Previous).parent().unwrap().to_owned();
    for name in ["note.json", "other.part"] {
        std::fs::write(folder.join(name), "left by a killed process").unwrap();
    }
    let Ok(Lookup::Found(file)) = bench.open(Layout::Previous, 5).await else {
        panic!("it is the file");
    };
    file.remove().await;
    assert!(!folder.exists());
    // What a killed upload left of it is removed without the file.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("note.json"), "{}").unwrap();
    bench.cache.remove(bench.media_id, Layout::Previous).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn planted_links_are_not_followed() {
    for layout in [Layout::Current, Layout::Previous] {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join(Bench::new().path(layout).file_name().unwrap());
        std::fs::write(&secret, "hello").unwrap();

        // The file itself, whether the target is outside or in the cache.
        let bench = Bench::new();
        std::fs::write(bench.root.path().join("target"), "hello").unwrap();
        for target in [
            secret.as_path(),
            &bench.root.path().join("target"),
            Path::new("../target"),
        ] {
            link(target, &bench.path(layout));
            assert_eq!(bench.unusable(layout, 5).await, "it is not a regular file");
            std::fs::remove_file(bench.path(layout)).unwrap();
        }

        // Its folder, and in the previous layout the folder of that: nothing outside is read or removed.
        let bench = Bench::new();
        let folder = bench.path(layout).parent().unwrap().to_owned();
        let outer = folder.parent().unwrap().to_owned();
        for at in [folder, outer] {
            if at == bench.root.path() {
                continue;
            }
            let inside = outside.path().join(bench.path(layout).strip_prefix(&at).unwrap());
            std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
            std::fs::write(&inside, "hello").unwrap();
            let _ = std::fs::remove_dir(&at);
            link(outside.path(), &at);
            let Err(error) = bench.open(layout, 5).await else {
                panic!("{}", at.display());
            };
            assert!(error.to_string().contains("remove it"), "{}: {error}", at.display());
            bench.cache.remove(bench.media_id, layout).await;
            assert_eq!(std::fs::read(&inside).unwrap(), b"hello", "nothing outside is removed");
            std::fs::remove_file(&at).unwrap();
        }
        assert_eq!(std::fs::read(&secret).unwrap(), b"hello");
    }
}

#[tokio::test]
async fn a_pipe_does_not_block_and_a_folder_is_not_a_file() {
    for layout in [Layout::Current, Layout::Previous] {
        let bench = Bench::new();
        bench.put(layout, "");
        std::fs::remove_file(bench.path(layout)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(bench.path(layout)).status();
        assert!(made.unwrap().success());
        assert_eq!(bench.unusable(layout, 5).await, "it is not a regular file");
        std::fs::remove_file(bench.path(layout)).unwrap();
        std::fs::create_dir(bench.path(layout)).unwrap();
        assert_eq!(bench.unusable(layout, 5).await, "it is not a regular file");
    }
}
