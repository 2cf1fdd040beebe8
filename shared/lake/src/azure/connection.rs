//! The connection to OneLake: pooled, with time limits, with a token of the process's identity in every request, and with
//! a bill of what the requests cost.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Request, Response, StatusCode};
use secrecy::ExposeSecret;

use crate::azure::meter::{Billed, Meter, RequestObserver};
use crate::location::Location;
use xact_contracts::onelake_billing::Bill;
use xact_identity::{Access, AccessState, Forgotten, Grant, Identity, IdentityError, STORAGE, Token};

/// Limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit without a byte of the response. It runs while the request is sent as well, so it limits the time for one block.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an idle connection is kept. Azure's load balancers drop it silently after four minutes.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is needed to open a [`Location`]: nothing for a local one, an HTTP client with an identity for OneLake.
#[derive(Clone, Default)]
pub struct Connection(Option<Arc<Http>>);

impl Connection {
    /// Returns the connection for a local location.
    #[must_use]
    pub const fn local() -> Self {
        Self(None)
    }

    /// Returns the connection for a location. `identity` is only called if it is in OneLake; no request is made.
    ///
    /// `ca_file`: certificate authorities (PEM) that are trusted in addition to the system's.
    ///
    /// # Errors
    /// [`ConnectError`]: no identity, or a certificate file that cannot be used.
    pub fn to(
        location: &Location,
        identity: impl FnOnce() -> Result<Identity, IdentityError>,
        ca_file: Option<&Path>,
    ) -> Result<Self, ConnectError> {
        let Location::OneLake { workspace, .. } = location else {
            return Ok(Self::local());
        };
        Ok(Self(Some(Arc::new(Http {
            client: client(ca_file)?,
            identity: identity()?,
            access: Access::new(grant(workspace)),
            meter: Meter::default(),
        }))))
    }

    /// Calls `observer` for each billed request. Only for a connection that is not in use yet.
    #[must_use]
    pub fn observed(mut self, observer: RequestObserver) -> Self {
        if let Some(http) = self.0.as_mut().and_then(Arc::get_mut) {
            http.meter.observer = Some(observer);
        }
        self
    }

    /// Returns what the connection's requests have cost so far; `None` for a local location.
    #[must_use]
    pub fn bill(&self) -> Option<Bill> {
        self.0.as_ref().map(|http| http.bill())
    }

    pub(crate) fn http(&self) -> Option<&Arc<Http>> {
        self.0.as_ref()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("local"),
            Some(http) => http.identity.fmt(f),
        }
    }
}

/// Why a connection cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No identity can be chosen.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The additional certificate authorities cannot be used.
    #[error("the certificate authorities in {} cannot be used: {reason}", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system's certificate authorities cannot be used.
    #[error("cannot create an HTTPS client: {0}")]
    Client(String),
}

/// Returns the role that a 403 asks for. Only roles of the Fabric workspace grant access; Azure roles do not apply.
fn grant(workspace: &str) -> Grant {
    Grant {
        role: "Contributor".to_owned(),
        on: format!("Fabric workspace {workspace}"),
        how: format!(
            "a workspace admin gives it in Fabric (Manage access), or by POST \
             https://api.fabric.microsoft.com/v1/workspaces/{workspace}/roleAssignments \
             {{\"principal\":{{\"id\":\"{{principal}}\",\"type\":\"ServicePrincipal\"}},\"role\":\"Contributor\"}}; the \
             tenant must let service principals use Fabric APIs"
        ),
    }
}

fn client(ca_file: Option<&Path>) -> Result<reqwest::Client, ConnectError> {
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("xact-pipeline/", env!("CARGO_PKG_VERSION")))
        // A token must not follow a redirect to another host.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .https_only(true)
        // One request at a time per connection: a broken connection fails one request only.
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true);
    if let Some(path) = ca_file {
        let refuse = |reason: String| ConnectError::Certificates {
            path: path.to_owned(),
            reason,
        };
        let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refuse(error.to_string()))?;
        client = client.tls_certs_merge(certificates);
    }
    client.build().map_err(|error| ConnectError::Client(chain(&error)))
}

/// Returns the Blob host for a DFS host: `onelake.dfs.fabric.microsoft.com`, regional hosts and private links each have
/// one. A host without `.dfs.` (an emulator) serves both protocols.
pub(crate) fn blob_host(dfs_host: &str) -> String {
    dfs_host.replacen(".dfs.", ".blob.", 1)
}

/// The HTTP client with its identity.
pub(crate) struct Http {
    client: reqwest::Client,
    identity: Identity,
    access: Access,
    meter: Meter,
}

impl Http {
    /// Sends the request that `request` builds, with a token. After a 401 it is sent once more with a new token, so
    /// `request` may be called twice.
    ///
    /// # Errors
    /// [`SendError`]. Any status except 401 and 403 is a response.
    pub(crate) async fn send(
        &self,
        request: impl Fn() -> Result<Request, reqwest::Error> + Send + Sync,
    ) -> Result<Response, SendError> {
        let token = self.identity.token(STORAGE).await?;
        let answer = self.attempt(&request, &token).await?;
        let (answer, token) = if answer.status() == StatusCode::UNAUTHORIZED
            && self.identity.forget(STORAGE, &token) == Forgotten::Replaced
        {
            let token = self.identity.token(STORAGE).await?;
            (self.attempt(&request, &token).await?, token)
        } else {
            (answer, token)
        };
        let now = Instant::now();
        match answer.status() {
            StatusCode::UNAUTHORIZED => Err(SendError::Unauthorized(code(&answer))),
            StatusCode::FORBIDDEN => Err(SendError::Forbidden {
                state: Box::new(self.access.refused(token.principal(), now)),
                code: code(&answer),
            }),
            status => {
                if status.is_success() {
                    self.access.granted(now);
                }
                Ok(answer)
            }
        }
    }

    async fn attempt(
        &self,
        request: &(impl Fn() -> Result<Request, reqwest::Error> + Sync),
        token: &Token,
    ) -> Result<Response, SendError> {
        let mut request = request().map_err(SendError::network)?;
        let bearer = format!("Bearer {}", token.secret.expose_secret());
        if let Ok(mut bearer) = http::HeaderValue::try_from(bearer) {
            bearer.set_sensitive(true);
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        }
        let billed = Billed::of(&request);
        let answer = self.client.execute(request).await.map_err(SendError::network)?;
        self.meter.count(&billed, answer.status(), answer.content_length());
        Ok(answer)
    }

    /// Returns what the requests have cost so far.
    pub(crate) fn bill(&self) -> Bill {
        self.meter.bill.lock().clone()
    }

    /// Sends a request of a client crate, as [`Http::send`] does.
    pub(crate) async fn forward(
        &self,
        method: &str,
        url: &url::Url,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Result<Response, SendError> {
        let build = || {
            // The methods of the client crates are valid.
            let method = http::Method::from_bytes(method.as_bytes()).unwrap_or_default();
            let mut request = self.request(method, url.clone());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(body.clone()).build()
        };
        self.send(build).await
    }

    /// Starts to build a request.
    pub(crate) fn request(&self, method: http::Method, url: url::Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Why a request has no usable response. No text contains a token or a URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No token.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// 401, also with a new token.
    #[error(
        "OneLake refuses the token ({}): check that AZURE_TENANT_ID is the tenant of the Fabric workspace, and this machine's clock",
        .0.as_deref().unwrap_or("401")
    )]
    Unauthorized(Option<String>),
    /// 403: the identity lacks a role, or the role has not propagated yet.
    #[error("{state}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Forbidden {
        /// How long access has been refused, and which role is missing.
        state: Box<AccessState>,
        /// The error code of the service.
        code: Option<String>,
    },
    /// The connection failed before or during the response.
    #[error("{text}")]
    Network {
        /// What happened.
        text: String,
        /// Whether no connection was established, so that nothing was sent.
        is_connect: bool,
    },
}

impl SendError {
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn network(error: reqwest::Error) -> Self {
        Self::Network {
            is_connect: error.is_connect(),
            text: chain(&error),
        }
    }
}

/// Returns the error code of a response.
fn code(answer: &Response) -> Option<String> {
    let code = answer.headers().get("x-ms-error-code")?.to_str().ok()?;
    is_service_code(code).then(|| code.to_owned())
}

/// Returns whether this is an error code of the service, which is one word.
pub(crate) fn is_service_code(code: &str) -> bool {
    code.len() < 80 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the text of an error and its causes, each once and without the URL.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "timed out".to_owned(),
        Some(error) if error.is_connect() => "cannot connect".to_owned(),
        Some(_) => "the connection failed".to_owned(),
        None => error.to_string(),
    };
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !cause.is::<reqwest::Error>() && !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
