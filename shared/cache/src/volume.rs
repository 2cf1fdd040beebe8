//! How full the cache volume is. Beyond 90 % the download stage pauses and says so: it does not fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use rustix::fs::StatVfs;

use crate::folders::Folders;
use crate::janitor::{self, ClearBefore};
use crate::{Cache, CacheError};

/// Used part of the volume beyond which no download begins.
const FULL: f64 = 0.9;
/// Used part of the volume beyond which it is looked at often.
const NEARLY_FULL: f64 = 0.8;
/// An answer of the volume is good for so long while there is room, and while there is little.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
const NEARLY_FULL_CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Between two searches for abandoned parts while the volume is full.
const CLEAR_INTERVAL: Duration = Duration::from_secs(60);
/// No attempt goes so long without a write: the server is given up long before.
const PART_RETENTION: SignedDuration = SignedDuration::from_hours(1);

/// How full a volume is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Volume {
    /// Used part, from 0 to 1.
    pub used: f64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
}

/// The volume is too full for another download.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "CACHE_DIR {} is {:.0} % full: downloads pause until uploads have emptied it below {:.0} %, or it is enlarged",
    path.display(), used * 100.0, FULL * 100.0
)]
pub struct FullError {
    path: PathBuf,
    used: f64,
}

impl Volume {
    /// Asks the volume of a folder. It blocks.
    ///
    /// # Errors
    /// When the file system does not answer.
    pub fn of(path: &Path) -> Result<Self, CacheError> {
        rustix::fs::statvfs(path)
            .map(|volume| Self::new(&volume))
            .map_err(|error| CacheError::new(path, error.into()))
    }

    fn new(volume: &StatVfs) -> Self {
        let used = volume.f_blocks.saturating_sub(volume.f_bfree);
        Self {
            used: used_part(used, volume.f_bavail),
            free_bytes: volume.f_bavail.saturating_mul(volume.f_frsize),
        }
    }

    /// Whether another download may begin.
    ///
    /// # Errors
    /// When the volume is too full, with how full it is.
    pub fn check(&self, path: &Path) -> Result<(), FullError> {
        if self.used <= FULL {
            return Ok(());
        }
        Err(FullError {
            path: path.to_owned(),
            used: self.used,
        })
    }

    fn is_full(&self) -> bool {
        self.used > FULL
    }

    /// For how long this answer is good.
    fn good_for(&self) -> Duration {
        if self.is_full() {
            Duration::ZERO
        } else if self.used > NEARLY_FULL {
            NEARLY_FULL_CHECK_INTERVAL
        } else {
            CHECK_INTERVAL
        }
    }
}

/// As `df` has it: of what is used and what may be used. What is reserved, for root or by a quota, is neither.
fn used_part(used: u64, available: u64) -> f64 {
    if used + available == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss)]
    let part = used as f64 / (used + available) as f64;
    part
}

/// The last answer of the volume.
#[derive(Default)]
pub(crate) struct VolumeWatch {
    answer: Mutex<Option<(Instant, Volume)>>,
    cleared: Arc<Mutex<Option<Instant>>>,
}

impl Cache {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folders.path()
    }

    /// How full the volume is: by an answer that is at most ten seconds old while there is room, and 250 milliseconds
    /// while there is little. A full volume is cleared of abandoned parts, at most once a minute.
    ///
    /// # Errors
    /// When the volume does not answer.
    pub async fn volume(&self) -> Result<Volume, CacheError> {
        let last = || self.volume.answer.lock();
        let known = last().filter(|(at, volume)| at.elapsed() < volume.good_for());
        if let Some((_, volume)) = known {
            return Ok(volume);
        }
        let (folders, cleared) = (Arc::clone(&self.folders), Arc::clone(&self.volume.cleared));
        // Asking a share that hangs would hang the thread.
        let asked = tokio::task::spawn_blocking(move || ask(&folders, &cleared));
        let volume = asked
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| CacheError::new(self.path(), error))?;
        *last() = Some((Instant::now(), volume));
        Ok(volume)
    }
}

fn ask(folders: &Folders, cleared: &Mutex<Option<Instant>>) -> io::Result<Volume> {
    let root = folders.check_root()?;
    let ask = || io::Result::Ok(Volume::new(&rustix::fs::fstatvfs(&root)?));
    let volume = ask()?;
    if !volume.is_full() || !is_time_to_clear(cleared) {
        return Ok(volume);
    }
    let parts = Timestamp::now().checked_sub(PART_RETENTION).unwrap_or(Timestamp::MIN);
    let before = ClearBefore {
        cached: Timestamp::MIN,
        parts,
    };
    match janitor::clear(folders, before) {
        0 => Ok(volume),
        removed => {
            tracing::warn!(
                removed,
                "the cache volume is full: parts that no download writes were removed"
            );
            ask()
        }
    }
}

fn is_time_to_clear(cleared: &Mutex<Option<Instant>>) -> bool {
    let mut cleared = cleared.lock();
    let is_time = cleared.is_none_or(|at| at.elapsed() >= CLEAR_INTERVAL);
    if is_time {
        *cleared = Some(Instant::now());
    }
    is_time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(used: u64, available: u64) -> Volume {
        Volume {
            used: used_part(used, available),
            free_bytes: available,
        }
    }

    #[test]
    fn a_full_volume_is_told_with_how_full_it_is() {
        let check = |used, available| volume(used, available).check(Path::new("/c"));
        assert_eq!(check(89, 11), Ok(()));
        // Two thirds of the volume are reserved: what is left for us is half empty.
        assert_eq!(check(15, 15), Ok(()));
        assert_eq!(check(0, 0), Ok(()));
        let reason = check(95, 5).unwrap_err().to_string();
        assert!(reason.contains("95 % full"), "{reason}");
    }

    #[test]
    fn a_volume_with_little_room_is_looked_at_more_often() {
        assert_eq!(volume(10, 90).good_for(), CHECK_INTERVAL);
        assert_eq!(volume(85, 15).good_for(), NEARLY_FULL_CHECK_INTERVAL);
        assert_eq!(volume(95, 5).good_for(), Duration::ZERO);
    }

    #[test]
    fn a_full_volume_is_cleared_once_a_minute() {
        let cleared = Mutex::default();
        assert!(is_time_to_clear(&cleared));
        assert!(!is_time_to_clear(&cleared));
    }

    #[tokio::test]
    async fn the_volume_of_a_folder_answers_and_a_missing_folder_does_not() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::create(root.path()).unwrap();
        assert!(cache.volume().await.unwrap().free_bytes > 0);
        let missing = Cache::new(&root.path().join("missing"));
        let error = missing.volume().await.unwrap_err().to_string();
        assert!(error.contains("check that the volume is mounted"), "{error}");
    }
}
