//! Removes orphans: files that no message refers to, and parts that no attempt writes.
//!
//! Both layouts are swept. Links are left alone, and nothing outside the cache folder is touched.

use std::path::Path;
use std::time::Duration;

use cap_std::fs::{Dir, DirEntry};
use jiff::{SignedDuration, Timestamp};

use crate::folders::{Folders, open_folder};
use xact_contracts::cache_path::{self, Kind};

/// A part that was not written for this long is an orphan: a download that receives nothing is aborted much earlier.
const PART_RETENTION: Duration = Duration::from_hours(1);

/// Files last written before these times are orphans.
#[derive(Debug, Clone, Copy)]
pub struct Cutoffs {
    cached: Timestamp,
    parts: Timestamp,
}

impl Cutoffs {
    /// Keeps files for `retention`, and beyond it those that unprocessed messages refer to.
    ///
    /// `oldest_message` is when the oldest unprocessed message was written: `now` if there is none, and
    /// [`Timestamp::MIN`] if it is not known, which keeps all complete files. `retention` is subtracted from it because a
    /// file is complete shortly before its message is written.
    #[must_use]
    pub fn new(retention: Duration, oldest_message: Timestamp, now: Timestamp) -> Self {
        Self {
            cached: before(oldest_message.min(now), retention),
            parts: before(now, retention.min(PART_RETENTION)),
        }
    }

    /// Keeps all complete files.
    pub(crate) fn parts_only(now: Timestamp) -> Self {
        Self {
            cached: Timestamp::MIN,
            parts: before(now, PART_RETENTION),
        }
    }
}

fn before(timestamp: Timestamp, retention: Duration) -> Timestamp {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    timestamp.checked_sub(retention).unwrap_or(Timestamp::MIN)
}

/// Removes orphans and returns how many files, or folders of attachments in the previous layout, that were.
pub(crate) fn remove_orphans(folders: &Folders, cutoffs: Cutoffs) -> usize {
    let Ok(root) = folders.check_root() else {
        return 0;
    };
    let removed = entries(&root, is_folder).into_iter().map(|name| {
        if cache_path::is_shard(&name) {
            open_folder(&root, &name).map_or(0, |shard| sweep_shard(&shard, cutoffs))
        } else if name.len() == 2 {
            let removed = open_folder(&root, &name).map_or(0, |shard| sweep_previous(&shard, cutoffs.cached));
            // Fails while the folder is not empty, as it should.
            let _ = root.remove_dir(&name);
            removed
        } else {
            0
        }
    });
    removed.sum()
}

fn sweep_shard(shard: &Dir, cutoffs: Cutoffs) -> usize {
    let is_old = |entry: &DirEntry| {
        let cutoff = match entry.file_name().to_str().and_then(cache_path::kind) {
            Some(Kind::Cached) => cutoffs.cached,
            Some(Kind::Part) => cutoffs.parts,
            None => return false,
        };
        let metadata = entry.metadata();
        metadata.is_ok_and(|metadata| metadata.is_file() && is_before(metadata.modified(), cutoff))
    };
    let old = entries(shard, is_old).into_iter();
    old.filter(|name| shard.remove_file(name).is_ok()).count()
}

/// Removes the folders of attachments in which everything was last written before the cutoff.
fn sweep_previous(shard: &Dir, cutoff: Timestamp) -> usize {
    let folders = entries(shard, is_folder).into_iter();
    folders
        .filter(|name| uuid::Uuid::try_parse(name).is_ok())
        .filter(|name| is_older(shard, name, cutoff) && shard.remove_dir_all(name).is_ok())
        .count()
}

fn is_older(shard: &Dir, folder: &str, cutoff: Timestamp) -> bool {
    let is_older = |path: &Path| {
        let metadata = shard.symlink_metadata(path);
        metadata.is_ok_and(|metadata| is_before(metadata.modified(), cutoff))
    };
    let folder = Path::new(folder);
    let Ok(mut entries) = shard.read_dir(folder) else {
        return false;
    };
    entries.all(|entry| entry.is_ok_and(|entry| is_older(&folder.join(entry.file_name())))) && is_older(folder)
}

fn is_before(modified: std::io::Result<cap_std::time::SystemTime>, cutoff: Timestamp) -> bool {
    let modified = modified.ok().and_then(|time| Timestamp::try_from(time.into_std()).ok());
    modified.is_some_and(|time| time < cutoff)
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Returns the names of the wanted entries of a folder.
fn entries(folder: &Dir, is_wanted: impl Fn(&DirEntry) -> bool) -> Vec<String> {
    let entries = folder.entries().into_iter().flatten().flatten();
    entries
        .filter(is_wanted)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;
    use crate::Cache;
    use crate::test_cache::{TestCache, link, put};
    use xact_contracts::cache_path::Layout;

    fn past() -> Timestamp {
        Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap()
    }

    fn future() -> Timestamp {
        Timestamp::now().checked_add(SignedDuration::from_hours(1)).unwrap()
    }

    #[test]
    fn files_and_parts_are_removed_by_their_own_cutoffs_and_nothing_else_is() {
        let cache = TestCache::new();
        let cached = cache.path(Layout::Current);
        let part = cached.with_file_name(cache_path::part_name(cache.id, Uuid::new_v4()));
        let foreign = [
            cached.with_file_name("readme"),
            cache.root.path().join("other/x"),
            cache.root.path().join("xyz"),
        ];
        let all: Vec<&PathBuf> = [&cached, &part].into_iter().chain(&foreign).collect();
        all.iter().for_each(|path| put(path, "x"));
        let clear = |cached, parts| cache.cache.remove_orphans(Cutoffs { cached, parts });
        assert_eq!(clear(past(), past()), 0);
        assert!(all.iter().all(|path| path.exists()));
        assert_eq!(clear(past(), future()), 1);
        assert!(cached.exists() && !part.exists());
        put(&part, "x");
        assert_eq!(clear(future(), past()), 1);
        assert!(!cached.exists() && part.exists());
        assert!(foreign.iter().all(|path| path.exists()));
    }

    #[test]
    fn attachments_of_the_previous_layout_are_removed_and_their_shard_when_it_is_empty() {
        let cache = TestCache::new();
        let ours = cache.path(Layout::Previous);
        let folder = ours.parent().unwrap();
        let shard = folder.parent().unwrap();
        let foreign = shard.join("folder/file");
        for path in [&ours, &ours.with_file_name("note.json"), &foreign] {
            put(path, "x");
        }
        let clear = |cached| cache.cache.remove_orphans(Cutoffs { cached, parts: past() });
        assert_eq!(clear(past()), 0);
        assert_eq!(clear(future()), 1);
        assert!(!folder.exists() && foreign.exists());
        std::fs::remove_dir_all(foreign.parent().unwrap()).unwrap();
        assert_eq!(clear(future()), 0);
        assert!(!shard.exists());
    }

    #[test]
    fn the_janitor_does_not_follow_planted_links() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = Uuid::new_v4();
        let target = outside.path().join(id.to_string());
        put(&target.join("file"), "x");
        put(&outside.path().join(cache_path::file_name(id)), "x");
        let link = |target: &Path, name: &str| link(target, &root.path().join(name));
        // A shard of either layout, an attachment's folder, a file.
        link(outside.path(), "a");
        link(outside.path(), "aa");
        link(&target, &format!("bb/{id}"));
        link(&target.join("file"), &format!("b/{}", cache_path::file_name(id)));
        // The attachment's folder is removed with the link in it; the link's target is kept.
        link(&target, &format!("cc/{id}/file"));
        let cutoffs = Cutoffs {
            cached: future(),
            parts: future(),
        };
        assert_eq!(Cache::new(root.path()).remove_orphans(cutoffs), 1);
        assert!(!root.path().join("cc").exists());
        assert_eq!(std::fs::read(target.join("file")).unwrap(), b"x");
        assert!(outside.path().join(cache_path::file_name(id)).exists());
    }

    #[test]
    fn a_file_that_waits_for_its_upload_is_kept_however_old_it_is() {
        let now: Timestamp = "2025-06-10T00:00:00Z".parse().unwrap();
        let day_before: Timestamp = "2025-06-09T00:00:00Z".parse().unwrap();
        let waiting: Timestamp = "2025-06-01T00:00:00Z".parse().unwrap();
        let cutoff = |oldest| Cutoffs::new(Duration::from_hours(24), oldest, now).cached;
        assert_eq!(cutoff(now), day_before);
        assert!(cutoff(waiting) < waiting);
        assert_eq!(cutoff(Timestamp::MIN), Timestamp::MIN);
        assert_eq!(cutoff(future()), day_before);
    }
}
