//! How full the cache volume is. Beyond 90 % the stage pauses and says so: it does not fail.

use crate::WORKER;
use runtime::Unavailable;
use runtime::metrics::metrics;
use std::path::Path;

/// Used part of the volume beyond which no download begins.
const FULL: f64 = 0.9;

/// Bytes that may still be written.
///
/// # Errors
/// When the file system does not say.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let volume = rustix::fs::statvfs(path)?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// Refuses while the volume is too full.
///
/// # Errors
/// With how full it is.
pub fn check(path: &Path) -> Result<(), Unavailable> {
    let volume = rustix::fs::statvfs(path)
        .map_err(|error| Unavailable::new("cache volume", format!("CACHE_DIR {}: {error}", path.display())))?;
    judge(volume.f_blocks.saturating_sub(volume.f_bfree), volume.f_bavail, path)
}

/// As `df` has it: of what is used and what may be used. What is reserved, for root or by a quota, is neither.
fn judge(used: u64, available: u64, path: &Path) -> Result<(), Unavailable> {
    if used + available == 0 {
        return Ok(());
    }
    #[allow(clippy::cast_precision_loss)]
    let used = used as f64 / (used + available) as f64;
    metrics().cache_used.with_label_values(&[WORKER]).set(used);
    if used > FULL {
        return Err(Unavailable::new(
            "cache volume",
            format!(
                "CACHE_DIR {} is {:.0} % full: downloads pause until uploads have emptied it below {:.0} %, or it is enlarged",
                path.display(),
                used * 100.0,
                FULL * 100.0
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_volume_pauses_and_says_why() {
        assert!(judge(89, 11, Path::new("/c")).is_ok());
        // Two thirds of the volume are reserved: what is left for us is half empty.
        assert!(judge(15, 15, Path::new("/c")).is_ok());
        assert!(judge(0, 0, Path::new("/c")).is_ok());
        let reason = judge(95, 5, Path::new("/c")).unwrap_err().reason;
        assert!(reason.contains("95 % full"), "{reason}");
    }
}
