//! Keeps one scope's token fresh: one task a scope asks for it, everybody else reads what it got.
//!
//! So there is never more than one request for a scope, and nobody waits for a renewal while the old token is good. The
//! task renews after three quarters of a token's life. When that fails it goes on asking, with growing waits and jitter,
//! and the old token serves until its end.
//!
//! Time is tokio's, so that it stands still in tests; the wall clock is asked as well, because a workstation that slept
//! wakes up with tokens that have expired meanwhile.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::IdentityError;
use crate::token::{Fetched, Token, TokenSource};

/// How long a caller without a token waits for one while attempts fail in ways that may pass. Longer than one attempt
/// may take, so that its error is what the caller gets.
const PATIENCE: Duration = Duration::from_secs(65);
/// A token handed out has at least so much life (or a tenth of what it came with) left, for the request that it goes with.
const MARGIN: Duration = Duration::from_secs(30);
/// A token that was asked for because of a 401 is not given back within this time: the next 401 is meant.
const FORGET_AGAIN: Duration = Duration::from_secs(300);
/// No wait is longer, whatever a server asks for with `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);
/// Longer lives are not planned for.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What [`Identity::forget`](crate::Identity::forget) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Forgotten {
    /// The token is gone: ask for the next one and try again, once.
    Replaced,
    /// The token was itself asked for because of a 401, a moment ago: the refusal is meant, and another token would not
    /// help. The token is kept.
    Refused,
}

/// How a scope stands, for readiness and metrics.
#[derive(Debug, Clone)]
pub struct ScopeStatus {
    /// The scope.
    pub scope: String,
    /// Until when there is a token; `None`: there is none.
    pub expires_at: Option<SystemTime>,
    /// Tokens received.
    pub received: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Why the last attempt failed, if it did. There may still be a token.
    pub failure: Option<IdentityError>,
}

/// One scope.
#[derive(Debug)]
pub(crate) struct Keeper {
    scope: String,
    state: watch::Sender<State>,
    /// Somebody found the token worthless.
    wake: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    failure: Option<IdentityError>,
    received: u64,
    failed: u64,
    /// The next token will be one that was asked for because of a 401.
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
        let margin = self.margin;
        Instant::now() + margin < self.expires
            && self
                .token
                .expires_at
                .duration_since(SystemTime::now())
                .is_ok_and(|left| margin < left)
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

    /// Starts the task, or starts it again when the runtime that it ran on is gone.
    pub(crate) fn run(self: &Arc<Self>, source: &Arc<dyn TokenSource>) {
        let mut task = self.task.lock();
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(keep(self.clone(), source.clone())));
        }
    }

    /// Ends the task; it holds the keeper.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    /// The token, if there is a good one.
    pub(crate) fn peek(&self) -> Option<Token> {
        self.state.borrow().good().cloned()
    }

    /// The token; waits only if there is no good one.
    pub(crate) async fn token(&self) -> Result<Token, IdentityError> {
        let mut states = self.state.subscribe();
        let deadline = Instant::now() + PATIENCE;
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
                    reason: format!("no answer within {PATIENCE:?}"),
                    retry_after: None,
                }));
            }
        }
    }

    pub(crate) fn forget(&self, token: &Token) -> Forgotten {
        let mut forgotten = Forgotten::Replaced;
        self.state.send_if_modified(|state| {
            // Another caller was faster: its token is replaced already, or about to be.
            if state.held.as_ref().is_none_or(|held| held.token.number != token.number) {
                return false;
            }
            if state.last_forced.is_some_and(|at| at.elapsed() < FORGET_AGAIN) {
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

    /// When the token is to be renewed; `None`: now.
    fn renew_at(&self) -> Option<Instant> {
        let state = self.state.borrow();
        state.held.as_ref().filter(|held| !held.is_due()).map(|held| held.renew)
    }

    fn succeed(&self, fetched: Fetched) -> Result<(), IdentityError> {
        let now = SystemTime::now();
        let life = fetched.expires_at.duration_since(now).unwrap_or_default();
        if life.is_zero() {
            return Err(IdentityError::ExpiredOnArrival {
                who: self.scope.clone(),
                ago: now.duration_since(fetched.expires_at).unwrap_or_default(),
            });
        }
        let life = life.min(LONGEST_LIFE);
        let received = Instant::now();
        // Many replicas start at once; they need not renew at once.
        let renew = life.mul_f64(0.70 + 0.10 * fastrand::f64());
        self.state.send_modify(|state| {
            state.received += 1;
            if std::mem::take(&mut state.is_forced) {
                state.last_forced = Some(received);
            }
            match state.failure.take() {
                Some(_) => tracing::info!(
                    scope = self.scope,
                    life_seconds = life.as_secs(),
                    "there is a token again"
                ),
                None => tracing::debug!(scope = self.scope, life_seconds = life.as_secs(), "token received"),
            }
            state.held = Some(Held {
                token: Token {
                    secret: fetched.secret,
                    expires_at: fetched.expires_at,
                    number: state.received,
                },
                margin: MARGIN.min(life / 10),
                expires: received + life,
                // A server that gives a token from its own cache may give one that is nearly over, again and again.
                renew: received + renew.max(Duration::from_secs(1)),
            });
        });
        Ok(())
    }

    fn fail(&self, error: IdentityError) {
        self.state.send_modify(|state| {
            state.failed += 1;
            // Once; it is asked for again and again.
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
        let (mut soon, mut late) = (
            waits(Duration::from_millis(500), Duration::from_secs(30)),
            waits(Duration::from_secs(5), Duration::from_secs(60)),
        );
        loop {
            let received = source.fetch(&keeper.scope).await;
            let Err(error) = received.and_then(|fetched| keeper.succeed(fetched)) else {
                break;
            };
            // What somebody has to put right is not put right within a second.
            let wait = if error.is_transient() { soon.next() } else { late.next() };
            let asked_for = error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER);
            keeper.fail(error);
            // Not cut short by callers: they would be as many as there are messages.
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
