//! The connection to OneLake: pooled, with time limits, with the token of the process's identity in every request, and
//! with a bill of what the requests cost.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Request, Response, StatusCode};
use secrecy::ExposeSecret;

use crate::azure::meter::{Billed, Meter, RequestObserver};
use crate::location::Location;
use xact_contracts::onelake_billing::Bill;
use xact_identity::{Access, AccessState, Forgotten, Grant, Identity, IdentityError, STORAGE, Token};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Without a byte of the answer. The request's own bytes count as well, so it bounds how long one piece may take.
const IDLE: Duration = Duration::from_secs(30);
/// Below the four minutes after which Azure's load balancers drop an idle connection without a word.
const POOLED: Duration = Duration::from_secs(60);

/// What opening a [`Location`] takes besides it: nothing for a local one, an identity for OneLake.
#[derive(Clone, Default)]
pub struct Connection(Option<Arc<Http>>);

impl Connection {
    /// For a local location.
    #[must_use]
    pub const fn local() -> Self {
        Self(None)
    }

    /// What `location` takes. `identity` is only chosen if it is in OneLake; no request is made.
    ///
    /// `ca_file`: certificate authorities (PEM) that the server may be vouched for by, besides the system's.
    ///
    /// # Errors
    /// [`ConnectError`]: no identity, or a file of certificates that cannot be used.
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

    /// Tells `observer` of each billed request. For a connection that is not in use yet.
    #[must_use]
    pub fn observed(mut self, observer: RequestObserver) -> Self {
        if let Some(http) = self.0.as_mut().and_then(Arc::get_mut) {
            http.meter.observer = Some(observer);
        }
        self
    }

    /// What the connection's requests have cost so far; `None` for a local location.
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

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No identity can be chosen.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The additional certificate authorities.
    #[error("the certificate authorities in {} cannot be used: {reason}", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system's certificate authorities.
    #[error("no HTTPS client can be made: {0}")]
    Client(String),
}

/// Who may write is decided by the workspace's roles alone: OneLake is no scope of Azure's.
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
        // A token goes where it was meant to go, and nowhere else.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .https_only(true)
        // One connection a request at a time: what a cut connection breaks is one request.
        .http1_only()
        .connect_timeout(CONNECT)
        .read_timeout(IDLE)
        .pool_idle_timeout(POOLED)
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

/// The HTTP client with its identity.
pub(crate) struct Http {
    client: reqwest::Client,
    identity: Identity,
    access: Access,
    meter: Meter,
}

impl Http {
    /// Sends what `request` makes, with a token. A 401 is answered by one more attempt with a new token. `request` is
    /// called for each attempt.
    ///
    /// # Errors
    /// [`Trouble`]. Every other status is an answer.
    pub(crate) async fn send(
        &self,
        request: impl Fn() -> Result<Request, reqwest::Error> + Send + Sync,
    ) -> Result<Response, Trouble> {
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
            StatusCode::UNAUTHORIZED => Err(Trouble::Unauthorized(code(&answer))),
            StatusCode::FORBIDDEN => {
                let state = Box::new(self.access.refused(token.principal(), now));
                let code = code(&answer);
                Err(Trouble::Forbidden { state, code })
            }
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
    ) -> Result<Response, Trouble> {
        let mut request = request().map_err(Trouble::network)?;
        let bearer = format!("Bearer {}", token.secret.expose_secret());
        if let Ok(mut bearer) = http::HeaderValue::try_from(bearer) {
            bearer.set_sensitive(true);
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        }
        let billed = Billed::of(&request);
        let answer = self.client.execute(request).await.map_err(Trouble::network)?;
        self.meter.count(&billed, answer.status(), answer.content_length());
        Ok(answer)
    }

    /// What the requests have cost so far.
    pub(crate) fn bill(&self) -> Bill {
        self.meter.bill()
    }

    /// A request to build on.
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

/// Why there is no answer that the caller could make something of. No text of it holds a token or a URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// No token.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// 401, with a new token as well.
    #[error(
        "OneLake refuses the token ({}): check that AZURE_TENANT_ID is the tenant of the Fabric workspace, and this machine's clock",
        .0.as_deref().unwrap_or("401")
    )]
    Unauthorized(Option<String>),
    /// 403.
    #[error("{state}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Forbidden {
        /// What that means now.
        state: Box<AccessState>,
        /// The service's word for it.
        code: Option<String>,
    },
    /// No connection, or none to the end of the answer.
    #[error("{text}")]
    Network {
        /// What happened.
        text: String,
        /// Whether nothing was sent.
        is_connect: bool,
    },
}

impl Trouble {
    /// Whoever made the request is gone.
    #[cfg(feature = "delta")]
    pub(crate) fn lost(error: &tokio::task::JoinError) -> Self {
        Self::Network {
            text: error.to_string(),
            is_connect: false,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn network(error: reqwest::Error) -> Self {
        Self::Network {
            is_connect: error.is_connect(),
            text: chain(&error),
        }
    }
}

/// The service's own word for what is wrong.
fn code(answer: &Response) -> Option<String> {
    let code = answer.headers().get("x-ms-error-code")?.to_str().ok()?;
    (code.len() < 80 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| code.to_owned())
}

/// An error with its causes, each once and without the URL.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "timed out".to_owned(),
        Some(error) if error.is_connect() => "cannot connect".to_owned(),
        Some(_) => "the connection broke".to_owned(),
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
