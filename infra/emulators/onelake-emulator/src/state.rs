//! What all requests of one emulator share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::access::Access;
use crate::catalog::Catalog;
use crate::counters::Counters;
use crate::rules::Rules;
use crate::storage::Storage;

/// The state of one emulator.
pub(crate) struct EmulatorState {
    pub(crate) storage: Arc<Storage>,
    pub(crate) catalog: Catalog,
    pub(crate) access: Access,
    pub(crate) rules: Rules,
    pub(crate) counters: Counters,
    /// Connections accepted since the start.
    pub(crate) connections: AtomicU64,
    /// Opens the admin endpoint to other machines.
    pub(crate) admin_token: Option<String>,
    /// Delay of every answer, as the distance to a data centre adds it.
    pub(crate) latency_ms: AtomicU64,
}
