//! The four kinds of identity, and how each asks for a token.
//!
//! Every request makes a new `azure_identity` credential: theirs keep a token until five minutes before its end and cannot
//! be told to drop it, and the one for workload identity keeps the federated token for ten minutes though Kubernetes has
//! rotated it. What is kept, and for how long, is the [`keeper`](crate::keeper)'s business alone.

use std::ffi::OsString;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use url::Url;
use uuid::Uuid;

use crate::answer::{Exchange, MAX_BODY};
use crate::azure_cli::Run;
use crate::error::IdentityError;
use crate::explain::{self, Trouble};
use crate::settings::IdentitySettings;
use crate::token::{Fetched, TokenSource};

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// To a connection.
    pub(crate) connect: Duration,
    /// To the whole answer.
    pub(crate) answer: Duration,
    /// Of `az`, which starts Python and may ask Entra itself.
    pub(crate) cli: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            cli: Duration::from_secs(60),
        }
    }
}

/// Who this process is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    ServicePrincipal {
        tenant: String,
        client: Uuid,
        secret: SecretString,
    },
    WorkloadIdentity {
        tenant: String,
        client: Uuid,
        file: PathBuf,
    },
    ManagedIdentity {
        /// Of a user-assigned identity.
        client: Option<Uuid>,
        endpoint: Url,
        header: SecretString,
    },
    AzureCli {
        tenant: Option<String>,
        path: OsString,
    },
}

/// For messages: who, in few words.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServicePrincipal { tenant, client, .. } => {
                write!(f, "service principal {client} of tenant {tenant}")
            }
            Self::WorkloadIdentity { tenant, client, .. } => write!(f, "workload identity {client} of tenant {tenant}"),
            Self::ManagedIdentity { client: None, .. } => f.write_str("system-assigned managed identity"),
            Self::ManagedIdentity {
                client: Some(client), ..
            } => write!(f, "user-assigned managed identity {client}"),
            Self::AzureCli { tenant: None, .. } => f.write_str("login of the Azure CLI"),
            Self::AzureCli {
                tenant: Some(tenant), ..
            } => write!(f, "login of the Azure CLI for tenant {tenant}"),
        }
    }
}

/// A kind of identity with all that it needs to ask.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) kind: Kind,
    authority: Url,
    http: reqwest::Client,
    limits: TimeLimits,
}

impl Credential {
    pub(crate) fn new(kind: Kind, settings: &IdentitySettings, limits: TimeLimits) -> Result<Self, IdentityError> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("xact-pipeline/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(limits.connect)
            // One request an hour: a connection kept for the next would be dead by then.
            .pool_max_idle_per_host(0);
        if matches!(kind, Kind::ManagedIdentity { .. }) {
            // Its endpoint is on this machine; a proxy would be shown IDENTITY_HEADER.
            http = http.no_proxy();
        }
        let failed = |what: &str, error: &reqwest::Error| {
            IdentityError::Settings(vec![format!("{what}: {}", explain::innermost(error, &[]))])
        };
        if let Some(pem) = &settings.ca_pem {
            let certificate = reqwest::Certificate::from_pem(pem)
                .map_err(|error| failed("the additional certificate authority cannot be read", &error))?;
            http = http.tls_certs_merge([certificate]);
        }
        Ok(Self {
            kind,
            authority: settings.authority.clone(),
            http: http
                .build()
                .map_err(|error| failed("the system's certificate authorities cannot be used", &error))?,
            limits,
        })
    }

    /// One line for the start-up print.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            kind @ Kind::ServicePrincipal { .. } => format!("{kind}, by secret, at {}", host(&self.authority)),
            kind @ Kind::WorkloadIdentity { file, .. } => {
                format!(
                    "{kind}, by the token in {}, at {}",
                    file.display(),
                    host(&self.authority)
                )
            }
            kind @ Kind::ManagedIdentity { endpoint, .. } => format!("{kind}, from {}", host(endpoint)),
            kind @ Kind::AzureCli { .. } => kind.to_string(),
        }
    }

    fn options(&self, exchange: &Arc<Exchange>) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        self.authority.as_str().clone_into(&mut cloud.authority_host);
        ClientOptions {
            // Retries are the keeper's, which does not let callers wait for them.
            retry: RetryOptions::none(),
            transport: Some(Transport::new(exchange.clone())),
            cloud: Some(Arc::new(cloud.into())),
            ..Default::default()
        }
    }

    async fn by_http(
        &self,
        asked: &Url,
        scope: &str,
        credential: impl FnOnce(ClientOptions) -> azure_core::Result<Arc<dyn TokenCredential>>,
        secret: &SecretString,
    ) -> Result<Fetched, IdentityError> {
        let exchange = Exchange::new(self.http.clone());
        let fetched = match credential(self.options(&exchange)) {
            Ok(credential) => ask(credential.as_ref(), scope, self.limits.answer).await,
            Err(error) => Err(Trouble::Failed(error)),
        };
        fetched.map_err(|trouble| {
            let question = explain::Question {
                kind: &self.kind,
                asked: host(asked),
                scope,
                secret: secret.expose_secret(),
            };
            question.explain(exchange.answer(), &trouble)
        })
    }
}

#[async_trait::async_trait]
impl TokenSource for Credential {
    async fn fetch(&self, scope: &str) -> Result<Fetched, IdentityError> {
        match &self.kind {
            Kind::ServicePrincipal { tenant, client, secret } => {
                let credential = |client_options| {
                    let options = ClientSecretCredentialOptions { client_options };
                    let value = Secret::new(secret.expose_secret().to_owned());
                    let credential = ClientSecretCredential::new(tenant, client.to_string(), value, Some(options))?;
                    Ok(credential as Arc<dyn TokenCredential>)
                };
                self.by_http(&self.authority, scope, credential, secret).await
            }
            Kind::WorkloadIdentity { tenant, client, file } => {
                let assertion = federated_token(file).await?;
                let credential = |client_options| {
                    let options = ClientAssertionCredentialOptions { client_options };
                    let value = Assertion(assertion.clone());
                    let (tenant, client) = (tenant.clone(), client.to_string());
                    let credential = ClientAssertionCredential::new(tenant, client, value, Some(options))?;
                    Ok(credential as Arc<dyn TokenCredential>)
                };
                self.by_http(&self.authority, scope, credential, &assertion).await
            }
            Kind::ManagedIdentity {
                client,
                endpoint,
                header,
            } => {
                let credential = |client_options| {
                    let options = ManagedIdentityCredentialOptions {
                        user_assigned_id: client.map(|id| UserAssignedId::ClientId(id.to_string())),
                        client_options,
                    };
                    let credential = ManagedIdentityCredential::new(Some(options))?;
                    Ok(credential as Arc<dyn TokenCredential>)
                };
                self.by_http(endpoint, scope, credential, header).await
            }
            Kind::AzureCli { tenant, path } => {
                let run = Run::new(path.clone());
                let options = AzureCliCredentialOptions {
                    tenant_id: tenant.clone(),
                    executor: Some(run.clone()),
                    ..Default::default()
                };
                let fetched = match AzureCliCredential::new(Some(options)) {
                    Ok(credential) => ask(credential.as_ref(), scope, self.limits.cli).await,
                    Err(error) => Err(Trouble::Failed(error)),
                };
                fetched.map_err(|trouble| explain::cli(tenant.as_deref(), run.failure(), &trouble))
            }
        }
    }
}

/// One request, within `limit`.
async fn ask(credential: &dyn TokenCredential, scope: &str, limit: Duration) -> Result<Fetched, Trouble> {
    let scopes = [scope];
    // The date arithmetic of azure_identity panics on an answer with an absurd lifetime.
    let request = AssertUnwindSafe(credential.get_token(&scopes, None)).catch_unwind();
    let token = match tokio::time::timeout(limit, request).await {
        Ok(Ok(Ok(token))) => token,
        Ok(Ok(Err(error))) => return Err(Trouble::Failed(error)),
        Ok(Err(_)) => return Err(Trouble::Absurd),
        Err(_) => return Err(Trouble::TimedOut(limit)),
    };
    let text = token.token.secret();
    // It is to become a header. An answer without `access_token` gives an empty one.
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Trouble::Absurd);
    }
    Ok(Fetched {
        secret: text.into(),
        expires_at: SystemTime::from(token.expires_on),
    })
}

/// The federated token as it is now; Kubernetes replaces the file long before the token in it expires.
async fn federated_token(path: &Path) -> Result<SecretString, IdentityError> {
    let failed = |reason: String| IdentityError::FederatedTokenFile {
        path: path.to_owned(),
        reason,
    };
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| failed(format!("cannot be opened: {error}")))?;
    let mut text = String::new();
    file.take(MAX_BODY as u64 + 1)
        .read_to_string(&mut text)
        .await
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(failed("is empty".to_owned()));
    }
    if text.len() > MAX_BODY || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(failed("holds something else than a token".to_owned()));
    }
    Ok(token.into())
}

/// The federated token, for `azure_identity`.
#[derive(Debug)]
struct Assertion(SecretString);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose_secret().to_owned())
    }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
