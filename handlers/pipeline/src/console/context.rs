//! What every page gets.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::actions::Actions;
use super::dead_letter_cache::DeadLetterCache;
use super::layout::PageError;
use super::overview::watch::Watch;
use super::readings::Readings;
use xact_config::{EffectiveVariable, Settings};

/// Pages that search at the same time: each opens connections of its own.
pub(super) const MAX_SEARCHES: usize = 4;
/// How long a page waits for the others.
const SEARCH_WAIT: Duration = Duration::from_secs(20);

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
    /// Pages that read topics or tables for one request.
    pub(super) searches: Arc<Semaphore>,
    /// Cancelled when the console stops: streams of events end.
    pub(super) stop: CancellationToken,
}

impl Context {
    /// Waits until few enough pages search. The search may go on while the permit is held.
    pub(super) async fn search(&self) -> Result<SemaphorePermit<'_>, PageError> {
        let permit = tokio::time::timeout(SEARCH_WAIT, self.searches.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            let reason = format!("{MAX_SEARCHES} other pages search already: try again in some seconds");
            PageError::new(StatusCode::TOO_MANY_REQUESTS, reason)
        })
    }
}
