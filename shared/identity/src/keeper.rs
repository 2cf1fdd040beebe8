//! Caches and renews the token of one scope. One task requests it; callers read the result.
//!
//! So there is at most one request for a scope at a time, and no caller waits for a renewal while the token is valid. The
//! task renews a token after 70 to 80 % of its lifetime. If that fails, it retries with exponential backoff and jitter, and
//! the old token is used until it expires.
//!
//! Time is tokio's, which tests can pause. The wall clock is read too, because tokens expire while a workstation sleeps.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::IdentityError;
use crate::token::{Fetched, Token, TokenSource};

/// Longest wait of a caller for a token while errors are transient. Longer than one attempt, so that the caller gets its
/// error.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(65);
/// Least remaining lifetime of a token that is returned, for the request that carries it; or a tenth of its lifetime, if
/// that is less.
const MIN_REMAINING: Duration = Duration::from_secs(30);
/// A token that replaced a discarded one is not discarded within this time: a second 401 is not about the token.
const FORGET_INTERVAL: Duration = Duration::from_secs(300);
/// Longest `Retry-After` that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
/// Longest lifetime that is assumed.
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The result of [`Identity::forget`](crate::Identity::forget).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Forgotten {
    /// The token is discarded: get the next one and retry once.
    Replaced,
    /// The token replaced a discarded one a moment ago, so another token would not help. The token is kept.
    Refused,
}

/// The status of a scope, for readiness and metrics.
#[derive(Debug, Clone)]
pub struct ScopeStatus {
    /// The scope.
    pub scope: String,
    /// When the token expires; `None`: there is no valid token.
    pub expires_at: Option<SystemTime>,
    /// Tokens received.
    pub received: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Why the last attempt failed, if it did. There may still be a valid token.
    pub failure: Option<IdentityError>,
}

/// One scope.
#[derive(Debug)]
pub(crate) struct Keeper {
    scope: String,
    state: watch::Sender<State>,
    /// Notified when a token is needed now.
    wake: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    failure: Option<IdentityError>,
    received: u64,
    failed: u64,
    /// The next token replaces a discarded one.
    is_forced: bool,
    last_forced: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    token: Token,
    margin: Duration,
    /// By tokio's clock.
    expires: Instant,
    renew: Instant,
}

impl Held {
    fn is_good(&self) -> bool {
        let left = self.token.expires_at.duration_since(SystemTime::now());
        Instant::now() + self.margin < self.expires && left.is_ok_and(|left| self.margin < left)
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.renew || !self.is_good()
    }
}

impl State {
    fn good(&self) -> Option<&Token> {
        self.held.as_ref().filter(|held| held.is_good()).map(|held| &held.token)
    }
}

impl Keeper {
    pub(crate) fn new(scope: String) -> Arc<Self> {
        Arc::new(Self {
            scope,
            state: watch::Sender::default(),
            wake: Notify::new(),
            task: Mutex::default(),
        })
    }

    /// Starts the task, or restarts it if the runtime that it ran on has ended.
    pub(crate) fn run(self: &Arc<Self>, source: &Arc<dyn TokenSource>) {
        let mut task = self.task.lock();
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(keep(self.clone(), source.clone())));
        }
    }

    /// Aborts the task, which holds a reference to the keeper.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    /// Returns the token, if there is a valid one.
    pub(crate) fn peek(&self) -> Option<Token> {
        self.state.borrow().good().cloned()
    }

    /// Returns the token; waits only if there is no valid one.
    pub(crate) async fn token(&self) -> Result<Token, IdentityError> {
        let mut states = self.state.subscribe();
        let deadline = Instant::now() + TOKEN_TIMEOUT;
        loop {
            {
                let state = states.borrow_and_update();
                if let Some(token) = state.good() {
                    return Ok(token.clone());
                }
                if let Some(failure) = state.failure.as_ref().filter(|failure| !failure.is_transient()) {
                    return Err(failure.clone());
                }
            }
            self.wake.notify_one();
            if tokio::time::timeout_at(deadline, states.changed()).await.is_err() {
                let failure = self.state.borrow().failure.clone();
                return Err(failure.unwrap_or_else(|| IdentityError::Unavailable {
                    who: self.scope.clone(),
                    reason: format!("no answer within {TOKEN_TIMEOUT:?}"),
                    retry_after: None,
                }));
            }
        }
    }

    pub(crate) fn forget(&self, token: &Token) -> Forgotten {
        let mut forgotten = Forgotten::Replaced;
        self.state.send_if_modified(|state| {
            // Another caller has discarded it already.
            if state.held.as_ref().is_none_or(|held| held.token.number != token.number) {
                return false;
            }
            if state.last_forced.is_some_and(|at| at.elapsed() < FORGET_INTERVAL) {
                forgotten = Forgotten::Refused;
                return false;
            }
            state.held = None;
            state.is_forced = true;
            true
        });
        if forgotten == Forgotten::Replaced {
            self.wake.notify_one();
        }
        forgotten
    }

    pub(crate) fn status(&self) -> ScopeStatus {
        let state = self.state.borrow();
        ScopeStatus {
            scope: self.scope.clone(),
            expires_at: state.good().map(|token| token.expires_at),
            received: state.received,
            failed: state.failed,
            failure: state.failure.clone(),
        }
    }

    /// Returns when the token has to be renewed; `None`: now.
    fn renew_at(&self) -> Option<Instant> {
        let state = self.state.borrow();
        state.held.as_ref().filter(|held| !held.is_due()).map(|held| held.renew)
    }

    fn succeed(&self, fetched: Fetched) -> Result<(), IdentityError> {
        let now = SystemTime::now();
        let life = fetched.expires_at.duration_since(now).unwrap_or_default();
        if life.is_zero() {
            let ago = now.duration_since(fetched.expires_at).unwrap_or_default();
            return Err(IdentityError::Unusable {
                who: self.scope.clone(),
                reason: format!("it expired {} s ago: check this machine's clock", ago.as_secs()),
            });
        }
        let life = life.min(MAX_LIFETIME);
        let received = Instant::now();
        // Replicas that start at the same time renew at different times.
        let renew = life.mul_f64(0.70 + 0.10 * fastrand::f64());
        self.state.send_modify(|state| {
            state.received += 1;
            if std::mem::take(&mut state.is_forced) {
                state.last_forced = Some(received);
            }
            let life_seconds = life.as_secs();
            match state.failure.take() {
                Some(_) => tracing::info!(scope = self.scope, life_seconds, "there is a token again"),
                None => tracing::debug!(scope = self.scope, life_seconds, "token received"),
            }
            state.held = Some(Held {
                token: Token {
                    secret: fetched.secret,
                    expires_at: fetched.expires_at,
                    number: state.received,
                },
                margin: MIN_REMAINING.min(life / 10),
                expires: received + life,
                // A server may return a token from its cache that expires soon: do not request it in a loop.
                renew: received + renew.max(Duration::from_secs(1)),
            });
        });
        Ok(())
    }

    fn fail(&self, error: IdentityError) {
        self.state.send_modify(|state| {
            state.failed += 1;
            // Log each error once; attempts repeat.
            if state.failure.as_ref() != Some(&error) {
                let has_token = state.good().is_some();
                tracing::warn!(scope = self.scope, %error, has_token, "no new token");
            }
            state.failure = Some(error);
        });
    }
}

async fn keep(keeper: Arc<Keeper>, source: Arc<dyn TokenSource>) {
    loop {
        while let Some(renew) = keeper.renew_at() {
            tokio::select! {
                () = tokio::time::sleep_until(renew) => {}
                () = keeper.wake.notified() => {}
            }
        }
        let mut soon = waits(Duration::from_millis(500), Duration::from_secs(30));
        let mut late = waits(Duration::from_secs(5), Duration::from_secs(60));
        loop {
            let received = source.fetch(&keeper.scope).await;
            let Err(error) = received.and_then(|fetched| keeper.succeed(fetched)) else {
                break;
            };
            // What an operator has to change does not change within a second.
            let wait = if error.is_transient() { soon.next() } else { late.next() };
            let asked_for = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
            keeper.fail(error);
            // Callers do not end this wait: there are as many as messages.
            tokio::time::sleep(wait.unwrap_or_default().max(asked_for)).await;
        }
    }
}

fn waits(first: Duration, longest: Duration) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
        .chain(std::iter::repeat(longest))
}

#[cfg(test)]
mod tests;
