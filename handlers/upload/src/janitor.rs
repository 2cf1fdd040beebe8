//! The janitor: removes cache files that no message waits for.
//!
//! A file goes when it is older than `CACHE_RETENTION_SECONDS` (a day) *and* older than the oldest message that the
//! upload group has not finished. However long OneLake is away, no file that is still to be uploaded is lost to it.

use contracts::topology::Stage;
use jiff::{SignedDuration, Timestamp};
use runtime::config::Settings;
use runtime::topics::{Oldest, oldest_unfinished};
use std::path::Path;
use std::time::Duration;

/// Between two rounds: a quarter of the retention, and within these.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(3600);

/// Clears the cache folder now and then.
pub(crate) struct Janitor {
    settings: Settings,
}

impl Janitor {
    pub(crate) const fn new(settings: Settings) -> Self {
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

/// Removes attachment folders in which everything is older than the limit; returns how many.
fn clear(cache_dir: &Path, limit: Timestamp) -> usize {
    let folders = |path: &Path| {
        std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    folders(cache_dir)
        .iter()
        // Only what looks like ours: two digits, then an id.
        .filter(|shard| shard.file_name().is_some_and(|name| name.len() == 2))
        .flat_map(|shard| folders(shard))
        .filter(|folder| {
            folder
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| uuid::Uuid::parse_str(name).is_ok())
        })
        .filter(|folder| is_older(folder, limit) && std::fs::remove_dir_all(folder).is_ok())
        .count()
}

fn is_older(folder: &Path, limit: Timestamp) -> bool {
    let written = |path: &Path| {
        let modified = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        modified.ok().and_then(|time| Timestamp::try_from(time).ok())
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let files_are_older = entries.into_iter().all(|entry| {
        entry
            .ok()
            .and_then(|entry| written(&entry.path()))
            .is_some_and(|time| time < limit)
    });
    files_are_older && written(folder).is_some_and(|time| time < limit)
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
}
