//! The Azure identity's tokens, for librdkafka: it asks from threads of its own, in a callback that must soon answer.
//!
//! The identity keeps a token fresh and renews it in the background. That goes on in a small async runtime of its own, for
//! the callers' threads have none, and a token must not wait for what keeps the process's busy.

use std::sync::{OnceLock, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use secrecy::ExposeSecret;
use tokio::runtime::{Builder, Handle, Runtime};

use xact_config::{ClusterSettings, Security};
use xact_identity::{Forgotten, Identity, IdentityError, Principal, Token};

/// Longest wait in the callback: as long as it waits, its client reads nothing and hears of no acknowledgement. When it
/// gives up, librdkafka asks again after ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// librdkafka is told that a token ends no later than so, which makes it ask again at four fifths of this. Asking costs
/// nothing as long as the token is the same, and one that was given back is replaced that soon.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// For a principal's name, which librdkafka wants and no broker reads: they read the token.
const NAMELESS: &str = "xact-pipeline";

/// Why there is no token now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoToken {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("none within {seconds} s: {reason}", seconds = PATIENCE.as_secs())]
    Late { reason: String },
    #[error("tokens cannot be asked for: {0}")]
    Runtime(String),
}

/// Tokens of one identity for one namespace.
#[derive(Debug)]
pub(crate) struct Tokens {
    identity: Identity,
    scope: String,
    /// What the broker was shown last.
    shown: Mutex<Option<Token>>,
}

impl Tokens {
    /// Of the identity that the cluster is reached with, if it is reached with one.
    pub(crate) fn of(cluster: &ClusterSettings) -> Option<Self> {
        match &cluster.security {
            Security::Identity(identity) => Some(Self {
                identity: identity.clone(),
                scope: cluster.scope(),
                shown: Mutex::default(),
            }),
            _ => None,
        }
    }

    /// A token, at once if there is one. Blocks for some seconds otherwise.
    pub(crate) fn token(&self) -> Result<OAuthToken, NoToken> {
        let token = match self.identity.peek(&self.scope) {
            Some(token) => token,
            None => self.wait()?,
        };
        let ends = token.expires_at.min(SystemTime::now() + ASK_AGAIN);
        let millis = ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let name = token.principal().map(|principal| principal.object_id.to_string());
        let handed_over = OAuthToken {
            token: token.secret.expose_secret().to_owned(),
            principal_name: name.unwrap_or_else(|| NAMELESS.to_owned()),
            lifetime_ms: i64::try_from(millis).unwrap_or(i64::MAX),
        };
        *self.shown.lock() = Some(token);
        Ok(handed_over)
    }

    /// The broker refused the token: the next one must be another one. Once, lest a refusal that is meant makes a loop.
    pub(crate) fn refused(&self) {
        let shown = self.shown.lock();
        if let Some(token) = shown.as_ref()
            && self.identity.forget(&self.scope, token) == Forgotten::Replaced
        {
            tracing::debug!(
                scope = self.scope,
                "the broker refused a token: another one is asked for"
            );
        }
    }

    /// Who the broker knows us as, by the token.
    pub(crate) fn principal(&self) -> Option<Principal> {
        let shown = self.shown.lock();
        shown.as_ref().and_then(Token::principal)
    }

    fn wait(&self) -> Result<Token, NoToken> {
        let (send, receive) = mpsc::sync_channel(1);
        let (identity, scope) = (self.identity.clone(), self.scope.clone());
        renewal()?.spawn(async move {
            // Nobody waits any more when it took too long.
            let _ = send.send(identity.token(&scope).await);
        });
        match receive.recv_timeout(PATIENCE) {
            Ok(token) => Ok(token?),
            Err(_) => {
                let scopes = self.identity.status().into_iter();
                let failure = scopes
                    .filter(|status| status.scope == self.scope)
                    .find_map(|status| status.failure);
                let reason = failure.map_or_else(
                    || format!("{} does not answer", self.identity.describe()),
                    |failure| failure.to_string(),
                );
                Err(NoToken::Late { reason })
            }
        }
    }
}

/// Where tokens are renewed, for as long as the process lives.
fn renewal() -> Result<&'static Handle, NoToken> {
    static RENEWAL: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let make = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("identity").enable_all();
        builder.build().map_err(|error| error.to_string())
    };
    match RENEWAL.get_or_init(make) {
        Ok(runtime) => Ok(runtime.handle()),
        Err(error) => Err(NoToken::Runtime(error.clone())),
    }
}
