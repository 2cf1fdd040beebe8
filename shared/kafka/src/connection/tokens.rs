//! Tokens of the Azure identity for librdkafka, which requests them on its own threads, in a callback that must return soon.
//!
//! The identity caches a token and renews it in the background. This runs in a separate small async runtime: the callers'
//! threads have none, and a token must not wait for the work of the process's main runtime.

use std::sync::{OnceLock, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use secrecy::ExposeSecret;
use tokio::runtime::{Builder, Handle, Runtime};

use xact_config::{ClusterSettings, Security};
use xact_identity::{Forgotten, Identity, IdentityError, Principal, Token};

/// Longest wait in the callback. While it waits, the client reads nothing and receives no acknowledgements. When it gives
/// up, librdkafka requests a token again after ten seconds.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Upper bound of the token lifetime that librdkafka is given; it refreshes a token after four fifths of its lifetime.
/// A refresh is cheap while the cached token is valid, and replaces a rejected token this soon.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// Principal name for a token without one. librdkafka requires a name; brokers read the token instead.
const DEFAULT_PRINCIPAL_NAME: &str = "xact-pipeline";

/// No token could be acquired.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("no token within {seconds} s: {reason}", seconds = TOKEN_TIMEOUT.as_secs())]
    Timeout { reason: String },
    #[error("tokens cannot be requested: {0}")]
    Runtime(String),
}

/// Provides tokens of one identity for one namespace.
#[derive(Debug)]
pub(crate) struct TokenProvider {
    identity: Identity,
    scope: String,
    /// The token that librdkafka received last.
    presented: Mutex<Option<Token>>,
}

impl TokenProvider {
    /// Creates the provider for a cluster that is accessed with an identity; `None` for any other cluster.
    pub(crate) fn for_cluster(cluster: &ClusterSettings) -> Option<Self> {
        match &cluster.security {
            Security::Identity(identity) => Some(Self {
                identity: identity.clone(),
                scope: cluster.scope(),
                presented: Mutex::default(),
            }),
            _ => None,
        }
    }

    /// Returns a token, at once if one is cached. Otherwise blocks for up to five seconds.
    pub(crate) fn token(&self) -> Result<OAuthToken, TokenError> {
        let token = match self.identity.peek(&self.scope) {
            Some(token) => token,
            None => self.wait_for_token()?,
        };
        let expires_at = token.expires_at.min(SystemTime::now() + MAX_TOKEN_LIFETIME);
        let millis = expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let name = token.principal().map(|principal| principal.object_id.to_string());
        let oauth_token = OAuthToken {
            token: token.secret.expose_secret().to_owned(),
            principal_name: name.unwrap_or_else(|| DEFAULT_PRINCIPAL_NAME.to_owned()),
            lifetime_ms: i64::try_from(millis).unwrap_or(i64::MAX),
        };
        *self.presented.lock() = Some(token);
        Ok(oauth_token)
    }

    /// Discards the token that the broker rejected, so that the next one is a new one. The identity replaces a token only
    /// once, so that a genuine rejection does not loop.
    pub(crate) fn discard_rejected(&self) {
        let presented = self.presented.lock();
        if let Some(token) = presented.as_ref()
            && self.identity.forget(&self.scope, token) == Forgotten::Replaced
        {
            tracing::debug!(scope = self.scope, "the broker rejected a token; requesting a new one");
        }
    }

    /// Returns the principal in the last token.
    pub(crate) fn principal(&self) -> Option<Principal> {
        let presented = self.presented.lock();
        presented.as_ref().and_then(Token::principal)
    }

    fn wait_for_token(&self) -> Result<Token, TokenError> {
        let (send, receive) = mpsc::sync_channel(1);
        let (identity, scope) = (self.identity.clone(), self.scope.clone());
        renewal_runtime()?.spawn(async move {
            // The receiver is gone after a timeout.
            let _ = send.send(identity.token(&scope).await);
        });
        match receive.recv_timeout(TOKEN_TIMEOUT) {
            Ok(token) => Ok(token?),
            Err(_) => {
                let scopes = self.identity.status().into_iter();
                let failure = scopes
                    .filter(|status| status.scope == self.scope)
                    .find_map(|status| status.failure);
                let reason = failure.map_or_else(
                    || format!("{} does not respond", self.identity.describe()),
                    |failure| failure.to_string(),
                );
                Err(TokenError::Timeout { reason })
            }
        }
    }
}

/// Returns the async runtime that renews tokens. It lives as long as the process.
fn renewal_runtime() -> Result<&'static Handle, TokenError> {
    static RENEWAL: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let make = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("identity").enable_all();
        builder.build().map_err(|error| error.to_string())
    };
    match RENEWAL.get_or_init(make) {
        Ok(runtime) => Ok(runtime.handle()),
        Err(error) => Err(TokenError::Runtime(error.clone())),
    }
}
