//! The identity of the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::ExposeSecret;
use url::Url;

use crate::azure_cli;
use crate::credential::{Credential, Kind, TimeLimits};
use crate::error::IdentityError;
use crate::keeper::{Forgotten, Keeper, ScopeStatus};
use crate::settings::IdentitySettings;
use crate::token::{Token, TokenSource};

/// Who this process is to Azure. Clones are the same identity with the same tokens; when the last one is dropped, the
/// renewal ends.
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
    /// The identity that `settings` configure: with `AZURE_CLIENT_SECRET` the service principal, with
    /// `AZURE_FEDERATED_TOKEN_FILE` the workload identity, with `IDENTITY_ENDPOINT` the managed identity (user-assigned if
    /// `AZURE_CLIENT_ID` is set), else the login of the Azure CLI. Asks nobody yet.
    ///
    /// # Errors
    /// What is missing for the kind that the variables point to, or that they point to none.
    pub fn choose(settings: &IdentitySettings) -> Result<Self, IdentityError> {
        Self::with_limits(settings, TimeLimits::default())
    }

    pub(crate) fn with_limits(settings: &IdentitySettings, limits: TimeLimits) -> Result<Self, IdentityError> {
        let credential = Credential::new(kind(settings)?, settings, limits)?;
        Ok(Self::from_source(credential.describe(), Arc::new(credential)))
    }

    /// An identity whose tokens come from `source`, renewed and given back like those of the others.
    #[must_use]
    pub fn from_source(description: impl Into<String>, source: Arc<dyn TokenSource>) -> Self {
        Self(Arc::new(Inner {
            description: description.into(),
            source,
            keepers: Mutex::default(),
        }))
    }

    /// One line for the start-up print: which identity, by what, from where. No secret.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.0.description
    }

    /// A token for `scope` (`https://storage.azure.com/.default`). Without delay while there is a good one; otherwise
    /// waits for one, as long as what goes wrong may pass, but not much longer than a minute. From the first call on the
    /// token is renewed in the background.
    ///
    /// # Errors
    /// Why there is no token.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn token(&self, scope: &str) -> Result<Token, IdentityError> {
        let keeper = self.keeper(scope)?;
        keeper.run(&self.0.source);
        keeper.token().await
    }

    /// The token that [`token`](Self::token) would give without waiting, for callers that cannot wait, such as callbacks.
    /// `None` as well if nobody has called `token` for this scope yet: nothing is asked for.
    #[must_use]
    pub fn peek(&self, scope: &str) -> Option<Token> {
        self.keepers().get(scope)?.peek()
    }

    /// Gives back a token that was answered with 401, so that the next call gets a new one.
    ///
    /// Exactly this token: when another caller gave it back first, nothing happens. And once: the token that comes instead
    /// is kept for five minutes even if it is given back, so that a refusal which is meant makes no loop.
    pub fn forget(&self, scope: &str, token: &Token) -> Forgotten {
        let keeper = self.keepers().get(scope).cloned();
        keeper.map_or(Forgotten::Replaced, |keeper| keeper.forget(token))
    }

    /// How each scope stands that was asked for.
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

    fn keepers(&self) -> parking_lot::MutexGuard<'_, BTreeMap<String, Arc<Keeper>>> {
        self.0.keepers.lock()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.description).finish()
    }
}

/// As `az` and Entra take it: it becomes a part of a shell's command line.
fn is_scope(scope: &str) -> bool {
    let address = scope
        .strip_suffix("/.default")
        .and_then(|address| Url::parse(address).ok());
    address.is_some_and(|address| address.scheme() == "https")
        && scope.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:/".contains(c))
}

/// The first kind that the variables point to, in the order of the specification; then it must be complete, since to fall
/// through to another one would let a forgotten variable decide who the process is.
fn kind(settings: &IdentitySettings) -> Result<Kind, IdentityError> {
    let tenant_and_client = |because: &str| match (&settings.tenant, settings.client) {
        (Some(tenant), Some(client)) => Ok((tenant.clone(), client)),
        (tenant, client) => {
            let missing = [
                ("AZURE_TENANT_ID", tenant.is_none()),
                ("AZURE_CLIENT_ID", client.is_none()),
            ];
            let lines = missing
                .iter()
                .filter(|(_, is_missing)| *is_missing)
                .map(|(name, _)| format!("{name} is not set, but {because} is: set both, or neither"))
                .collect();
            Err(IdentityError::Settings(lines))
        }
    };
    if let Some(secret) = &settings.secret {
        let (tenant, client) = tenant_and_client("AZURE_CLIENT_SECRET")?;
        let secret = secret.clone();
        return Ok(Kind::ServicePrincipal { tenant, client, secret });
    }
    if let Some(file) = &settings.federated_token_file {
        let (tenant, client) = tenant_and_client("AZURE_FEDERATED_TOKEN_FILE")?;
        let file = file.clone();
        return Ok(Kind::WorkloadIdentity { tenant, client, file });
    }
    match (&settings.endpoint, &settings.header) {
        (Some(endpoint), Some(header)) => {
            // azure_identity reads both from the process's own variables.
            let is_own = |name, value: &str| std::env::var(name).is_ok_and(|own| own.trim() == value);
            if !is_own("IDENTITY_HEADER", header.expose_secret())
                || !std::env::var("IDENTITY_ENDPOINT").is_ok_and(|own| Url::parse(own.trim()).as_ref() == Ok(endpoint))
            {
                return Err(IdentityError::Settings(vec![
                    "IDENTITY_ENDPOINT and IDENTITY_HEADER are not the process's own variables: the platform sets \
                     them; take them out of .env"
                        .to_owned(),
                ]));
            }
            Ok(Kind::ManagedIdentity {
                client: settings.client,
                endpoint: endpoint.clone(),
                header: header.clone(),
            })
        }
        (None, None) if azure_cli::is_on(&settings.path) => Ok(Kind::AzureCli {
            tenant: settings.tenant.clone(),
            path: settings.path.clone(),
        }),
        (None, None) => Err(IdentityError::NoneConfigured),
        (endpoint, _) => {
            let (set, missing) = match endpoint {
                Some(_) => ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
                None => ("IDENTITY_HEADER", "IDENTITY_ENDPOINT"),
            };
            Err(IdentityError::Settings(vec![format!(
                "{missing} is not set, but {set} is: the platform sets both for a container app with a managed identity"
            )]))
        }
    }
}
