//! How full the cache volume is. Above 90 % the download stage pauses.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use rustix::fs::StatVfs;

use crate::error::CacheError;
use crate::folders::Folders;
use crate::janitor::{self, Cutoffs};

/// Used ratio above which no download starts.
const FULL: f64 = 0.9;
/// Used ratio above which the volume is checked often.
const NEARLY_FULL: f64 = 0.8;
/// Time between two checks up to [`NEARLY_FULL`].
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two checks above [`NEARLY_FULL`].
const NEARLY_FULL_CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Time between two removals of orphaned parts while the volume is full.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How full a volume is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Volume {
    /// Used ratio, from 0 to 1.
    pub used: f64,
    /// Bytes that can still be written.
    pub free_bytes: u64,
}

/// The volume is too full to start another download.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "CACHE_DIR {} is {:.0} % full: downloads pause until uploads have emptied it below {:.0} %, or it is enlarged",
    path.display(), used * 100.0, FULL * 100.0
)]
pub struct VolumeFullError {
    path: PathBuf,
    used: f64,
}

impl Volume {
    /// Reads the statistics of the volume that holds `path`. It blocks.
    ///
    /// # Errors
    /// When the file system call fails.
    pub fn of(path: &Path) -> Result<Self, CacheError> {
        rustix::fs::statvfs(path)
            .map(|volume| Self::new(&volume))
            .map_err(|error| CacheError::new(path, error.into()))
    }

    fn new(volume: &StatVfs) -> Self {
        let used = volume.f_blocks.saturating_sub(volume.f_bfree);
        Self {
            used: used_ratio(used, volume.f_bavail),
            free_bytes: volume.f_bavail.saturating_mul(volume.f_frsize),
        }
    }

    /// Checks that there is room to start another download into `path`.
    ///
    /// # Errors
    /// When the volume is too full.
    pub fn check(&self, path: &Path) -> Result<(), VolumeFullError> {
        if self.is_full() {
            return Err(VolumeFullError {
                path: path.to_owned(),
                used: self.used,
            });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.used > FULL
    }

    /// Returns for how long this reading is used.
    fn max_age(&self) -> Duration {
        if self.is_full() {
            Duration::ZERO
        } else if self.used > NEARLY_FULL {
            NEARLY_FULL_CHECK_INTERVAL
        } else {
            CHECK_INTERVAL
        }
    }
}

/// Returns the used ratio as `df` does: of the used and the available blocks. Reserved blocks (for root, or by a quota) count
/// as neither.
fn used_ratio(used: u64, available: u64) -> f64 {
    if used + available == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss)]
    let ratio = used as f64 / (used + available) as f64;
    ratio
}

/// The last reading of the volume, and when orphaned parts were last removed.
#[derive(Default)]
pub(crate) struct VolumeWatch {
    reading: Mutex<Option<(Instant, Volume)>>,
    swept: Arc<Mutex<Option<Instant>>>,
}

impl VolumeWatch {
    /// Returns a recent reading, or a new one.
    pub(crate) async fn read(&self, folders: &Arc<Folders>) -> Result<Volume, CacheError> {
        let recent = self
            .reading
            .lock()
            .filter(|(at, volume)| at.elapsed() < volume.max_age());
        if let Some((_, volume)) = recent {
            return Ok(volume);
        }
        let (shared, swept) = (Arc::clone(folders), Arc::clone(&self.swept));
        // The call blocks for as long as a share hangs.
        let volume = tokio::task::spawn_blocking(move || read(&shared, &swept))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| CacheError::new(folders.path(), error))?;
        *self.reading.lock() = Some((Instant::now(), volume));
        Ok(volume)
    }
}

fn read(folders: &Folders, swept: &Mutex<Option<Instant>>) -> io::Result<Volume> {
    let root = folders.check_root()?;
    let read = || io::Result::Ok(Volume::new(&rustix::fs::fstatvfs(&root)?));
    let volume = read()?;
    if !volume.is_full() || !is_time_to_sweep(swept) {
        return Ok(volume);
    }
    match janitor::remove_orphans(folders, Cutoffs::parts_only(Timestamp::now())) {
        0 => Ok(volume),
        removed => {
            tracing::warn!(removed, "the cache volume is full: removed orphaned parts of downloads");
            read()
        }
    }
}

fn is_time_to_sweep(swept: &Mutex<Option<Instant>>) -> bool {
    let mut swept = swept.lock();
    let is_time = swept.is_none_or(|at| at.elapsed() >= MIN_SWEEP_INTERVAL);
    if is_time {
        *swept = Some(Instant::now());
    }
    is_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cache;
    use crate::test_cache::TestCache;

    fn volume(used: u64, available: u64) -> Volume {
        Volume {
            used: used_ratio(used, available),
            free_bytes: available,
        }
    }

    #[test]
    fn a_full_volume_is_refused_and_a_nearly_full_one_is_checked_more_often() {
        let check = |used, available| volume(used, available).check(Path::new("/c"));
        assert_eq!(check(89, 11), Ok(()));
        // With reserved blocks: half of the usable part.
        assert_eq!(check(15, 15), Ok(()));
        assert_eq!(check(0, 0), Ok(()));
        let reason = check(95, 5).unwrap_err().to_string();
        assert!(reason.contains("95 % full"), "{reason}");
        assert_eq!(volume(10, 90).max_age(), CHECK_INTERVAL);
        assert_eq!(volume(85, 15).max_age(), NEARLY_FULL_CHECK_INTERVAL);
        assert_eq!(volume(95, 5).max_age(), Duration::ZERO);
    }

    #[test]
    fn orphaned_parts_are_searched_at_most_once_a_minute() {
        let swept = Mutex::default();
        assert!(is_time_to_sweep(&swept));
        assert!(!is_time_to_sweep(&swept));
    }

    #[tokio::test]
    async fn the_error_for_a_folder_that_cannot_be_used_says_what_to_check() {
        let cache = TestCache::new();
        assert!(cache.cache.volume().await.unwrap().free_bytes > 0);
        let missing = Cache::new(&cache.root.path().join("missing")).volume().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let in_a_file = Cache::create(&file.path().join("cache"));
        for error in [missing.err().unwrap(), in_a_file.err().unwrap()] {
            assert!(
                error.to_string().contains("check that the volume is mounted"),
                "{error}"
            );
        }
    }
}
