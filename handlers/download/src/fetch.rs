//! One download over HTTP: redirects, limits, and what each answer means.

mod body;
mod problems;
#[cfg(test)]
mod raw_server;
#[cfg(test)]
mod tests;

use crate::resolver::PublicResolver;
use body::{Body, too_large};
use contracts::category::Category;
use contracts::file_rules::FileType;
use contracts::messages::Problem;
use contracts::url_guard::UrlPolicy;
use jiff::Timestamp;
use problems::{body_problem, header, refused_status, request_problem};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use runtime::config::Settings;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;
use xact_cache::{CacheError, Cached, Slot};

/// Redirects that are followed, each under the same rules as the first URL.
const MAX_REDIRECTS: usize = 5;

/// How long a server may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// Look-up, TCP and TLS together.
    connect: Duration,
    /// Between two pieces of an answer.
    idle: Duration,
    /// Until the last redirect's answer begins. The body may take as long again, and longer by what `least_rate` needs
    /// for the bytes that came.
    base: Duration,
    /// Bytes a second.
    least_rate: u64,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            base: Duration::from_secs(120),
            least_rate: 64 * 1024,
        }
    }
}

impl TimeLimits {
    /// The longest that a body of so many bytes may take.
    fn for_bytes(&self, bytes: u64) -> Duration {
        self.base + Duration::from_secs(bytes / self.least_rate)
    }
}

/// Why a file was not fetched.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The server's or the file's trouble.
    Refused {
        problem: Problem,
        retry_after: Option<Duration>,
    },
    /// The cache volume's trouble.
    Cache(CacheError),
}

impl From<Problem> for FetchError {
    fn from(problem: Problem) -> Self {
        Self::Refused {
            problem,
            retry_after: None,
        }
    }
}

impl From<CacheError> for FetchError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "the HTTP client cannot be made: {0}; check that the system's CA certificates are installed (package ca-certificates)"
    )]
    Client(#[from] reqwest::Error),
    #[error("DEV_CA_FILE cannot be read: {0}")]
    CaFile(std::io::Error),
}

/// Downloads files.
pub(crate) struct Fetcher {
    client: Client,
    max_file_bytes: u64,
    limits: TimeLimits,
}

impl Fetcher {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let resolver = PublicResolver::new(settings.dev.clone());
        Self::with(settings, resolver, TimeLimits::default())
    }

    /// With names resolved by `resolver`, and other limits.
    pub(crate) fn with(settings: &Settings, resolver: PublicResolver, limits: TimeLimits) -> Result<Self, ClientError> {
        let mut client = Client::builder()
            .user_agent(concat!("xact-pipeline/", env!("CARGO_PKG_VERSION")))
            // A proxy would resolve names for us, past the check of addresses.
            .no_proxy()
            .redirect(redirect::Policy::none())
            // One file a request: HTTP/2 would gain nothing, and has more ways to be attacked.
            .http1_only()
            .referer(false)
            .dns_resolver(Arc::new(resolver))
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle)
            .pool_max_idle_per_host(settings.download_concurrency)
            .pool_idle_timeout(Duration::from_secs(60));
        if let Some(file) = settings.dev.as_ref().and_then(|dev| dev.ca_file.as_ref()) {
            let pem = std::fs::read(file).map_err(ClientError::CaFile)?;
            client = client.tls_certs_merge([Certificate::from_pem(&pem)?]);
        }
        Ok(Self {
            client: client.build()?,
            max_file_bytes: settings.max_file_bytes,
            limits,
        })
    }

    /// Downloads `url` into the slot.
    pub(crate) async fn fetch(
        &self,
        policy: &UrlPolicy,
        url: Url,
        file_type: FileType,
        slot: &Slot,
    ) -> Result<Cached, FetchError> {
        let base = self.limits.base;
        let response = tokio::time::timeout(base, self.follow(policy, url))
            .await
            .map_err(|_| {
                let seconds = base.as_secs();
                Problem::new(
                    Category::Transient,
                    format!("no answer in time: none within {seconds} s"),
                )
            })??;
        let content_type = header(response.headers(), CONTENT_TYPE.as_str()).map(str::to_owned);
        let announced = self.check_headers(&response, file_type, content_type.as_deref())?;
        let mut body = Body {
            response,
            part: slot.begin(),
            head: Vec::new(),
            file_type,
            announced,
            max_file_bytes: self.max_file_bytes,
            limits: self.limits,
            started: Instant::now(),
        };
        match body.receive().await {
            Ok(()) => Ok(body.part.finish(content_type, Timestamp::now()).await?),
            Err(error) => {
                body.part.discard().await;
                Err(error)
            }
        }
    }

    /// The answer at the end of the redirects, which is a 200.
    async fn follow(&self, policy: &UrlPolicy, mut url: Url) -> Result<Response, FetchError> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .client
                .get(url.clone())
                .send()
                .await
                .map_err(|error| request_problem(&error))?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            if !is_redirect(status) {
                return Err(refused_status(&response));
            }
            let Some(location) = header(response.headers(), LOCATION.as_str()) else {
                return Err(Problem::new(
                    Category::Unknown,
                    format!("redirect {status} without a readable Location"),
                )
                .with_status(status.as_u16())
                .into());
            };
            url = policy.check_redirect(&url, location).map_err(|refusal| {
                Problem::new(Category::Permanent, format!("redirected to a refused URL: {refusal}"))
                    .with_status(status.as_u16())
            })?;
        }
        Err(Problem::new(Category::Permanent, format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    /// What can be judged before the first byte; returns the announced length.
    fn check_headers(
        &self,
        response: &Response,
        file_type: FileType,
        content_type: Option<&str>,
    ) -> Result<Option<u64>, FetchError> {
        let permanent = |text: String| Problem::new(Category::Permanent, text).with_status(200);
        // None was asked for: what comes would not be the file, but a bomb perhaps.
        for (name, plain) in [(CONTENT_ENCODING, "identity"), (TRANSFER_ENCODING, "chunked")] {
            let mut codings = response.headers().get_all(&name).iter();
            let unasked = codings.find(|value| !value.as_bytes().eq_ignore_ascii_case(plain.as_bytes()));
            if let Some(value) = unasked {
                let value: String = String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect();
                return Err(permanent(format!("the server sent the file with {name} {value:?}, unasked")).into());
            }
        }
        file_type
            .check_declared(content_type)
            .map_err(|refusal| permanent(refusal.to_string()))?;
        let announced = header(response.headers(), CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
        if let Some(bytes) = announced.filter(|&bytes| bytes > self.max_file_bytes) {
            return Err(permanent(too_large(bytes, self.max_file_bytes)).into());
        }
        Ok(announced)
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
