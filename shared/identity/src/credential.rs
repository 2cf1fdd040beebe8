//! Requests tokens for each kind of identity.
//!
//! Every request makes a new `azure_identity` credential. Theirs cache a token until five minutes before it expires and
//! cannot drop it earlier, and the one for workload identity caches the federated token for ten minutes although Kubernetes
//! has rotated it. Only the [`keeper`](crate::keeper) caches tokens.

use std::panic::AssertUnwindSafe;
use std::path::Path;
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

use crate::answer::{Exchange, MAX_BODY};
use crate::azure_cli::Run;
use crate::error::IdentityError;
use crate::explain::{FetchFailure, Request, explain_cli};
use crate::kind::Kind;
use crate::scrub::scrub;
use crate::settings::IdentitySettings;
use crate::token::{Fetched, TokenSource};
use xact_contracts::error_cause::innermost;

/// Time limits of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// Until the connection is open.
    pub(crate) connect: Duration,
    /// Until the whole answer is there.
    pub(crate) answer: Duration,
    /// Of a run of `az`, which starts Python and may send requests to Entra.
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

/// A kind of identity with its HTTP client.
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
            // The endpoint is on this machine; a proxy would receive IDENTITY_HEADER.
            http = http.no_proxy();
        }
        let failed = |what: &str, error: &reqwest::Error| {
            IdentityError::Settings(vec![format!("{what}: {}", scrub(&innermost(error).to_string(), &[]))])
        };
        if let Some(pem) = &settings.ca_pem {
            let certificate = reqwest::Certificate::from_pem(pem)
                .map_err(|error| failed("the additional certificate authority cannot be read", &error))?;
            http = http.tls_certs_merge([certificate]);
        }
        let http = http.build();
        Ok(Self {
            kind,
            authority: settings.authority(),
            http: http.map_err(|error| failed("the system's certificate authorities cannot be used", &error))?,
            limits,
        })
    }

    /// Returns one line for the log.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            kind @ Kind::ServicePrincipal { .. } => format!("{kind}, by secret, at {}", host(&self.authority)),
            kind @ Kind::WorkloadIdentity { file, .. } => {
                let (file, host) = (file.display(), host(&self.authority));
                format!("{kind}, by the token in {file}, at {host}")
            }
            kind @ Kind::ManagedIdentity { endpoint, .. } => format!("{kind}, from {}", host(endpoint)),
            kind @ Kind::AzureCli { .. } => kind.to_string(),
        }
    }

    fn options(&self, exchange: &Arc<Exchange>) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        self.authority.as_str().clone_into(&mut cloud.authority_host);
        ClientOptions {
            // The keeper retries, in the background.
            retry: RetryOptions::none(),
            transport: Some(Transport::new(exchange.clone())),
            cloud: Some(Arc::new(cloud.into())),
            ..Default::default()
        }
    }
}

#[async_trait::async_trait]
impl TokenSource for Credential {
    async fn fetch(&self, scope: &str) -> Result<Fetched, IdentityError> {
        let exchange = Exchange::new(self.http.clone());
        let client_options = self.options(&exchange);
        let (credential, server, secret): (azure_core::Result<Arc<dyn TokenCredential>>, _, _) = match &self.kind {
            Kind::ServicePrincipal { tenant, client, secret } => {
                let options = ClientSecretCredentialOptions { client_options };
                let value = Secret::new(secret.expose_secret().to_owned());
                let credential = ClientSecretCredential::new(tenant, client.to_string(), value, Some(options));
                (
                    credential.map(|credential| credential as _),
                    &self.authority,
                    secret.clone(),
                )
            }
            Kind::WorkloadIdentity { tenant, client, file } => {
                let assertion = federated_token(file).await?;
                let options = ClientAssertionCredentialOptions { client_options };
                let (client, value) = (client.to_string(), Assertion(assertion.clone()));
                let credential = ClientAssertionCredential::new(tenant.clone(), client, value, Some(options));
                (credential.map(|credential| credential as _), &self.authority, assertion)
            }
            Kind::ManagedIdentity {
                client,
                endpoint,
                header,
            } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client.map(|id| UserAssignedId::ClientId(id.to_string())),
                    client_options,
                };
                let credential = ManagedIdentityCredential::new(Some(options));
                (credential.map(|credential| credential as _), endpoint, header.clone())
            }
            Kind::AzureCli { tenant, path } => {
                let run = Run::new(path.clone());
                let options = AzureCliCredentialOptions {
                    tenant_id: tenant.clone(),
                    executor: Some(run.clone()),
                    ..Default::default()
                };
                let credential = AzureCliCredential::new(Some(options)).map(|credential| credential as _);
                let fetched = ask(credential, scope, self.limits.cli).await;
                return fetched.map_err(|failure| explain_cli(tenant.as_deref(), run.failure(), &failure));
            }
        };
        let fetched = ask(credential, scope, self.limits.answer).await;
        fetched.map_err(|failure| {
            let request = Request {
                kind: &self.kind,
                server: host(server),
                scope,
                secret: secret.expose_secret(),
            };
            request.explain(exchange.answer(), &failure)
        })
    }
}

/// Sends one request, within `limit`.
async fn ask(
    credential: azure_core::Result<Arc<dyn TokenCredential>>,
    scope: &str,
    limit: Duration,
) -> Result<Fetched, FetchFailure> {
    let credential = credential.map_err(FetchFailure::Failed)?;
    let scopes = [scope];
    // azure_identity panics when the lifetime in the answer overflows a date.
    let request = AssertUnwindSafe(credential.get_token(&scopes, None)).catch_unwind();
    let token = match tokio::time::timeout(limit, request).await {
        Ok(Ok(token)) => token.map_err(FetchFailure::Failed)?,
        Ok(Err(_)) => return Err(FetchFailure::Invalid),
        Err(_) => return Err(FetchFailure::TimedOut(limit)),
    };
    let text = token.token.secret();
    // The token becomes a header. An answer without `access_token` gives an empty one.
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(FetchFailure::Invalid);
    }
    Ok(Fetched {
        secret: text.into(),
        expires_at: SystemTime::from(token.expires_on),
    })
}

/// Reads the federated token. Kubernetes replaces the file long before the token in it expires.
async fn federated_token(path: &Path) -> Result<SecretString, IdentityError> {
    let failed = |reason: String| {
        IdentityError::ActionRequired(format!(
            "AZURE_FEDERATED_TOKEN_FILE {}: {reason}. The pod's label `azure.workload.identity/use: \"true\"` and its \
             service account make Kubernetes write it",
            path.display()
        ))
    };
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| failed(format!("cannot be opened: {error}")))?;
    let mut text = String::new();
    let read = file.take(MAX_BODY as u64 + 1).read_to_string(&mut text).await;
    read.map_err(|error| failed(format!("cannot be read: {error}")))?;
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
