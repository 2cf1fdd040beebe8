//! What the answers of both listeners share.

use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::seen_paths::SeenPaths;

/// Counters and switches of one server.
pub(crate) struct SourceState {
    pub(crate) requests: AtomicU64,
    pub(crate) outage: AtomicBool,
    pub(crate) seen: SeenPaths,
}
