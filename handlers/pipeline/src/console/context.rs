//! What every page gets.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::actions::Actions;
use super::dead_letter_cache::DeadLetterCache;
use super::overview::watch::Watch;
use super::readings::Readings;
use xact_config::{EffectiveVariable, Settings};

/// What the pages need.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) settings: Arc<Settings>,
    /// Every variable with its value, secrets hidden.
    pub(super) variables: Arc<Vec<EffectiveVariable>>,
    /// What the overview shows.
    pub(super) watch: Arc<Watch>,
    pub(super) dead_letters: Arc<DeadLetterCache>,
    pub(super) readings: Arc<Readings>,
    pub(super) access: Arc<Access>,
    pub(super) actions: Arc<Actions>,
    /// Cancelled when the console stops: streams of events end.
    pub(super) stop: CancellationToken,
}
