//! Errors of the cache folder.

use std::io;
use std::path::{Path, PathBuf};

/// The cache folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "CACHE_DIR {}: {error}; check that the volume is mounted, has space, and that this process may write there",
    path.display()
)]
pub struct CacheError {
    path: PathBuf,
    error: io::Error,
}

impl CacheError {
    pub(crate) fn new(path: &Path, error: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            error,
        }
    }
}
