//! The janitor: removes cache files that no message waits for.
//!
//! A file goes when it is older than `CACHE_RETENTION_SECONDS` (a day) *and* older than the oldest message that the
//! upload group has not finished. However long OneLake is away, no file that is still to be uploaded is lost to it.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use contracts::topology::Stage;
use jiff::{SignedDuration, Timestamp};
use runtime::config::Settings;
use runtime::topics::{Oldest, oldest_unfinished};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two rounds: a quarter of the retention, and within these.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(3600);

/// Clears the cache folder now and then.
pub(crate) struct Janitor {
    settings: Settings,
}

impl Janitor {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Rounds until dropped.
    pub(crate) async fn run(&self) {
        loop {
            tokio::time::sleep((self.settings.cache_retention / 4).clamp(OFTEN, SELDOM)).await;
            let settings = self.settings.clone();
            let round = tokio::task::spawn_blocking(move || {
                // Without the broker's word nothing is removed.
                let oldest = oldest_unfinished(&settings, Stage::Upload)?;
                let limit = limit(&oldest, settings.cache_retention, Timestamp::now());
                Ok::<_, runtime::topics::TopicsError>(clear(&settings.cache_dir, limit))
            });
            match round.await {
                Ok(Ok(0)) => {}
                Ok(Ok(removed)) => tracing::info!(removed, "cache files that no message waits for were removed"),
                Ok(Err(error)) => tracing::warn!(%error, "the cache is not cleared this time"),
                Err(error) => tracing::warn!(%error, "the cache is not cleared this time"),
            }
        }
    }
}

/// Files last written before this may go. Younger ones are left alone: their message may not be on its topic yet.
fn limit(oldest: &Oldest, retention: Duration, now: Timestamp) -> Timestamp {
    let before = |timestamp: Timestamp| {
        let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
        timestamp.checked_sub(retention).unwrap_or(Timestamp::MIN)
    };
    match oldest {
        Oldest::NothingWaits => before(now),
        // A margin: the file was complete shortly before its message was written.
        Oldest::Since(timestamp) => before(*timestamp).min(before(now)),
        Oldest::Unknown => Timestamp::MIN,
    }
}

/// Removes attachment folders in which everything is older than the limit; returns how many. Links are left alone, and
/// nothing outside the cache folder is touched.
fn clear(cache_dir: &Path, limit: Timestamp) -> usize {
    let Ok(cache) = Dir::open_ambient_dir(cache_dir, ambient_authority()) else {
        return 0;
    };
    let shards = folders(&cache, Path::new("."), |name| name.len() == 2);
    shards
        .iter()
        // Only what looks like ours: two digits, then an id.
        .flat_map(|shard| folders(&cache, shard, |name| uuid::Uuid::parse_str(name).is_ok()))
        .filter(|folder| is_older(&cache, folder, limit) && cache.remove_dir_all(folder).is_ok())
        .count()
}

/// The folders right below `path` whose names are wanted.
fn folders(cache: &Dir, path: &Path, is_wanted: fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = cache.read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_str().is_some_and(is_wanted))
        .map(|entry| path.join(entry.file_name()))
        .collect()
}

fn is_older(cache: &Dir, folder: &Path, limit: Timestamp) -> bool {
    let is_older = |path: &Path| {
        let modified = cache.symlink_metadata(path).and_then(|metadata| metadata.modified());
        let modified = modified.ok().and_then(|time| Timestamp::try_from(time.into_std()).ok());
        modified.is_some_and(|time| time < limit)
    };
    let Ok(mut entries) = cache.read_dir(folder) else {
        return false;
    };
    entries.all(|entry| entry.is_ok_and(|entry| is_older(&folder.join(entry.file_name())))) && is_older(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2025-06-10T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_waits_for_upload_is_never_removed_however_old() {
        let waiting: Timestamp = "2025-06-01T00:00:00Z".parse().unwrap();
        let day = Duration::from_secs(86_400);
        let limit = |oldest| limit(&oldest, day, now());
        assert_eq!(limit(Oldest::NothingWaits), "2025-06-09T00:00:00Z".parse().unwrap());
        assert!(limit(Oldest::Since(waiting)) < waiting);
        assert_eq!(limit(Oldest::Unknown), Timestamp::MIN);
        assert_eq!(limit(Oldest::Since(now())), "2025-06-09T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn only_old_attachment_folders_go() {
        let root = tempfile::tempdir().unwrap();
        let id = uuid::Uuid::new_v4().to_string();
        let ours = root.path().join(&id[..2]).join(&id);
        let foreign = root.path().join("other").join("folder");
        for folder in [&ours, &foreign] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("file"), "x").unwrap();
        }
        let hour = SignedDuration::from_hours(1);
        assert_eq!(clear(root.path(), Timestamp::now().checked_sub(hour).unwrap()), 0);
        assert_eq!(clear(root.path(), Timestamp::now().checked_add(hour).unwrap()), 1);
        assert!(!ours.exists() && foreign.exists());
    }

    #[test]
    fn planted_links_lead_the_janitor_nowhere() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = uuid::Uuid::new_v4().to_string();
        let target = outside.path().join(&id);
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("file"), "x").unwrap();
        let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, root.path().join(name)).unwrap();
        link(outside.path(), "aa");
        std::fs::create_dir_all(root.path().join("bb")).unwrap();
        link(&target, &format!("bb/{id}"));
        // A folder of ours goes, with the link in it, and without what the link names.
        let ours = root.path().join("cc").join(&id);
        std::fs::create_dir_all(&ours).unwrap();
        link(&target, &format!("cc/{id}/file"));
        let hour = SignedDuration::from_hours(1);
        assert_eq!(clear(root.path(), Timestamp::now().checked_add(hour).unwrap()), 1);
        assert!(!ours.exists());
        assert_eq!(std::fs::read(target.join("file")).unwrap(), b"x");
    }
}
