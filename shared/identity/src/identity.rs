//! The identity of the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use url::Url;

use crate::credential::{Credential, TimeLimits};
use crate::error::IdentityError;
use crate::keeper::{Forgotten, Keeper, ScopeStatus};
use crate::kind::Kind;
use crate::settings::IdentitySettings;
use crate::token::{Token, TokenSource};

/// The identity of the process in Azure. Clones share its tokens. Dropping the last one ends the renewal.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    description: String,
    source: Arc<dyn TokenSource>,
    keepers: Mutex<BTreeMap<String, Arc<Keeper>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let keepers = self.keepers.get_mut();
        keepers.values().for_each(|keeper| keeper.stop());
    }
}

impl Identity {
    /// Chooses the identity that `settings` configure: with `AZURE_CLIENT_SECRET` the service principal, with
    /// `AZURE_FEDERATED_TOKEN_FILE` the workload identity, with `IDENTITY_ENDPOINT` the managed identity (user-assigned if
    /// `AZURE_CLIENT_ID` is set), else the login of the Azure CLI. Sends no request.
    ///
    /// # Errors
    /// If the settings select no kind of identity, or are incomplete for the kind that they select.
    pub fn choose(settings: &IdentitySettings) -> Result<Self, IdentityError> {
        Self::with_limits(settings, TimeLimits::default())
    }

    pub(crate) fn with_limits(settings: &IdentitySettings, limits: TimeLimits) -> Result<Self, IdentityError> {
        let credential = Credential::new(Kind::choose(settings)?, settings, limits)?;
        Ok(Self::from_source(credential.describe(), Arc::new(credential)))
    }

    /// Returns an identity whose tokens come from `source`; they are renewed like all others.
    #[must_use]
    pub fn from_source(description: impl Into<String>, source: Arc<dyn TokenSource>) -> Self {
        Self(Arc::new(Inner {
            description: description.into(),
            source,
            keepers: Mutex::default(),
        }))
    }

    /// Returns one line for the log, without secrets.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.0.description
    }

    /// Returns a token for `scope` (`https://storage.azure.com/.default`). If there is a valid one, it is returned
    /// immediately. Otherwise waits for one for about a minute, through errors that are transient. From the first call on
    /// the token is renewed in the background.
    ///
    /// # Errors
    /// If there is no token in that time, or if an operator has to act.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn token(&self, scope: &str) -> Result<Token, IdentityError> {
        let keeper = self.keeper(scope)?;
        keeper.run(&self.0.source);
        keeper.token().await
    }

    /// Returns the token that [`token`](Self::token) would return without waiting, for callbacks. `None` too if `token`
    /// was not called for this scope yet; this method starts no request.
    #[must_use]
    pub fn peek(&self, scope: &str) -> Option<Token> {
        self.keepers().get(scope)?.peek()
    }

    /// Discards a token that a service answered with 401, so that the next call gets a new one.
    ///
    /// Discards only this token: if another caller has already discarded it, nothing happens. The token that replaces it
    /// is kept for five minutes even if it is discarded too, so that a permanent 401 does not cause a loop.
    pub fn forget(&self, scope: &str, token: &Token) -> Forgotten {
        let keeper = self.keepers().get(scope).cloned();
        keeper.map_or(Forgotten::Replaced, |keeper| keeper.forget(token))
    }

    /// Returns the status of each scope for which a token was requested.
    #[must_use]
    pub fn status(&self) -> Vec<ScopeStatus> {
        self.keepers().values().map(|keeper| keeper.status()).collect()
    }

    fn keeper(&self, scope: &str) -> Result<Arc<Keeper>, IdentityError> {
        if let Some(keeper) = self.keepers().get(scope) {
            return Ok(keeper.clone());
        }
        if !is_scope(scope) {
            return Err(IdentityError::Scope(scope.chars().take(100).collect()));
        }
        let keeper = Keeper::new(scope.to_owned());
        Ok(self.keepers().entry(scope.to_owned()).or_insert(keeper).clone())
    }

    fn keepers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Keeper>>> {
        self.0.keepers.lock()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.description).finish()
    }
}

/// Whether `az` and Entra accept the scope. It becomes part of a shell's command line.
fn is_scope(scope: &str) -> bool {
    let address = scope
        .strip_suffix("/.default")
        .and_then(|address| Url::parse(address).ok());
    address.is_some_and(|address| address.scheme() == "https")
        && scope.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:/".contains(c))
}
