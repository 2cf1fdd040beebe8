//! What every page gets.

use std::net::SocketAddr;
use std::sync::Arc;

use super::positions::Positions;
use xact_config::Settings;

/// What the pages need.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) settings: Arc<Settings>,
    /// Every variable with its value, secrets hidden.
    pub(super) variables: Arc<Vec<(&'static str, String)>>,
    pub(super) positions: Arc<Positions>,
    pub(super) address: SocketAddr,
}
