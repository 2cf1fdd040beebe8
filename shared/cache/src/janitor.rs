//! Removes files that no message waits for, and parts that no attempt writes.
//!
//! Both layouts are cleared. Links are left alone, and nothing outside the cache folder is touched.

use std::path::Path;

use cap_std::fs::{Dir, DirEntry};
use jiff::Timestamp;

use crate::Cache;
use crate::folders::{Folders, open_folder};
use xact_contracts::cache_path::{self, Kind};

/// Files last written before these times are removed.
#[derive(Debug, Clone, Copy)]
pub struct ClearBefore {
    /// Complete files: no younger message may wait for one.
    pub cached: Timestamp,
    /// Parts: no attempt may go so long without a write.
    pub parts: Timestamp,
}

impl Cache {
    /// Removes what is older than the limits; returns how many files or folders of attachments that were. It blocks.
    ///
    /// A listing of every shard: for now and then, and not for each attachment.
    #[must_use]
    pub fn clear(&self, before: ClearBefore) -> usize {
        clear(&self.folders, before)
    }
}

pub(crate) fn clear(folders: &Folders, before: ClearBefore) -> usize {
    let Ok(root) = folders.check_root() else {
        return 0;
    };
    let removed = entries(&root, is_folder).into_iter().map(|name| {
        if cache_path::is_shard(&name) {
            open_folder(&root, &name).map_or(0, |shard| clear_shard(&shard, before))
        } else if name.len() == 2 {
            let cleared = open_folder(&root, &name).map_or(0, |shard| clear_previous(&shard, before.cached));
            // Fails, as it should, when something is in it.
            let _ = root.remove_dir(&name);
            cleared
        } else {
            0
        }
    });
    removed.sum()
}

fn clear_shard(shard: &Dir, before: ClearBefore) -> usize {
    let is_old = |entry: &DirEntry| {
        let limit = match entry.file_name().to_str().and_then(cache_path::kind) {
            Some(Kind::Cached) => before.cached,
            Some(Kind::Part) => before.parts,
            None => return false,
        };
        let metadata = entry.metadata();
        metadata.is_ok_and(|metadata| metadata.is_file() && is_before(metadata.modified(), limit))
    };
    let old = entries(shard, is_old).into_iter();
    old.filter(|name| shard.remove_file(name).is_ok()).count()
}

/// Removes the folders of attachments in which everything is older than the limit.
fn clear_previous(shard: &Dir, limit: Timestamp) -> usize {
    let folders = entries(shard, is_folder).into_iter();
    folders
        .filter(|name| uuid::Uuid::try_parse(name).is_ok())
        .filter(|name| is_older(shard, name, limit) && shard.remove_dir_all(name).is_ok())
        .count()
}

fn is_older(shard: &Dir, folder: &str, limit: Timestamp) -> bool {
    let is_older = |path: &Path| {
        let metadata = shard.symlink_metadata(path);
        metadata.is_ok_and(|metadata| is_before(metadata.modified(), limit))
    };
    let folder = Path::new(folder);
    let Ok(mut entries) = shard.read_dir(folder) else {
        return false;
    };
    entries.all(|entry| entry.is_ok_and(|entry| is_older(&folder.join(entry.file_name())))) && is_older(folder)
}

fn is_before(modified: std::io::Result<cap_std::time::SystemTime>, limit: Timestamp) -> bool {
    let modified = modified.ok().and_then(|time| Timestamp::try_from(time.into_std()).ok());
    modified.is_some_and(|time| time < limit)
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// The names of the wanted entries of a folder.
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

    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    fn past() -> Timestamp {
        Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap()
    }

    fn future() -> Timestamp {
        Timestamp::now().checked_add(SignedDuration::from_hours(1)).unwrap()
    }

    fn put(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    #[test]
    fn files_and_parts_go_by_their_own_limits_and_nothing_else_goes() {
        let root = tempfile::tempdir().unwrap();
        let id = Uuid::new_v4();
        let shard = root.path().join(cache_path::shard(id));
        let (cached, part) = (
            root.path().join(cache_path::file(id)),
            shard.join(cache_path::part_name(id, Uuid::new_v4())),
        );
        let foreign = [
            shard.join("readme"),
            root.path().join("other/x"),
            root.path().join("xyz"),
        ];
        let all: Vec<&PathBuf> = [&cached, &part].into_iter().chain(&foreign).collect();
        all.iter().for_each(|path| put(path));
        let clear = |cached, parts| Cache::new(root.path()).clear(ClearBefore { cached, parts });
        assert_eq!(clear(past(), past()), 0);
        assert!(all.iter().all(|path| path.exists()));
        assert_eq!(clear(past(), future()), 1);
        assert!(cached.exists() && !part.exists());
        put(&part);
        assert_eq!(clear(future(), past()), 1);
        assert!(!cached.exists() && part.exists());
        assert!(foreign.iter().all(|path| path.exists()));
    }

    #[test]
    fn attachments_of_the_previous_layout_go_and_their_shard_when_it_is_empty() {
        let root = tempfile::tempdir().unwrap();
        let id = Uuid::new_v4();
        let ours = root.path().join(cache_path::previous_file(id));
        let shard = ours.parent().unwrap().parent().unwrap().to_owned();
        let foreign = shard.join("folder/file");
        for path in [&ours, &ours.with_file_name("note.json"), &foreign] {
            put(path);
        }
        let clear = |cached| Cache::new(root.path()).clear(ClearBefore { cached, parts: past() });
        assert_eq!(clear(past()), 0);
        assert_eq!(clear(future()), 1);
        assert!(!ours.parent().unwrap().exists() && foreign.exists());
        std::fs::remove_dir_all(foreign.parent().unwrap()).unwrap();
        assert_eq!(clear(future()), 0);
        assert!(!shard.exists());
    }

    #[test]
    fn planted_links_lead_the_janitor_nowhere() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = Uuid::new_v4();
        let target = outside.path().join(id.to_string());
        put(&target.join("file"));
        put(&outside.path().join(cache_path::file_name(id)));
        let link = |target: &Path, name: &str| {
            let at = root.path().join(name);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, at).unwrap();
        };
        // A shard of either layout, an attachment's folder, a file.
        link(outside.path(), "a");
        link(outside.path(), "aa");
        link(&target, &format!("bb/{id}"));
        link(&target.join("file"), &format!("b/{}", cache_path::file_name(id)));
        // A folder of ours goes, with the link in it, and without what the link names.
        link(&target, &format!("cc/{id}/file"));
        let before = ClearBefore {
            cached: future(),
            parts: future(),
        };
        assert_eq!(Cache::new(root.path()).clear(before), 1);
        assert!(!root.path().join("cc").exists());
        assert_eq!(std::fs::read(target.join("file")).unwrap(), b"x");
        assert!(outside.path().join(cache_path::file_name(id)).exists());
    }
}
