//! The state that all requests share.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::Semaphore;

use crate::worker::Worker;
use xact_telemetry::health::Health;

/// The state that all requests share.
#[derive(Clone)]
pub(super) struct HttpState {
    pub(super) health: Health,
    pub(super) workers: Arc<Vec<Arc<Worker>>>,
    pub(super) invoke_token: Option<SecretString>,
    /// Limits concurrent calls of `/invoke`.
    pub(super) invocations: Arc<Semaphore>,
}
