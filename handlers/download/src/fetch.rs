//! One download over HTTP: redirects, limits, and what each answer means.

mod body;
mod client;
mod coding;
mod problems;
#[cfg(test)]
mod raw_server;
mod service_error;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};
use url::Url;

use crate::resolver::PublicResolver;
use body::{Body, too_large};
use client::Clients;
use coding::Decoding;
use problems::{body_problem, header, redirect_without_location, refused_status};
use xact_cache::{CacheError, ContentKind, FileInfo, Slot};
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::file_rules::{self, FileType, Judged};
use xact_contracts::messages::Problem;
use xact_contracts::url_guard::{UrlPolicy, location_text};

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
    clients: Clients,
    max_file_bytes: u64,
    limits: TimeLimits,
}

impl Fetcher {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let resolver = PublicResolver::new(settings.dev.clone());
        Self::with(settings, &resolver, TimeLimits::default())
    }

    /// With names resolved by `resolver`, and other limits.
    pub(crate) fn with(
        settings: &Settings,
        resolver: &PublicResolver,
        limits: TimeLimits,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            clients: Clients::new(settings, resolver, &limits)?,
            max_file_bytes: settings.max_file_bytes,
            limits,
        })
    }

    /// Downloads `url`, which names a file of the kind `named`, into the slot; returns also what the file was found to be.
    pub(crate) async fn fetch(
        &self,
        policy: &UrlPolicy,
        url: Url,
        named: Option<FileType>,
        slot: &Slot,
    ) -> Result<(FileInfo, Judged), FetchError> {
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
        let announced = self.check_headers(&response)?;
        let declared = header(response.headers(), CONTENT_TYPE.as_str()).map(str::to_owned);
        let decoding = Decoding::of(response.headers()).map_err(permanent)?;
        let named = named.or_else(|| named_by(response.headers()));
        let mut body = Body {
            response,
            decoding,
            part: slot.new_part(),
            head: Vec::new(),
            judged: None,
            named,
            declared,
            announced,
            received: 0,
            max_file_bytes: self.max_file_bytes,
            limits: self.limits,
            started: Instant::now(),
        };
        match body.receive().await {
            Ok(judged) => {
                let kind = ContentKind {
                    file_type: Some(judged.file_type.label().to_owned()),
                    content_type: judged.content_type.clone(),
                    declared_content_type: judged.declared_content_type.clone(),
                };
                Ok((body.part.finish(kind, Timestamp::now()).await?, judged))
            }
            Err(error) => {
                body.part.discard().await;
                Err(error)
            }
        }
    }

    /// The answer at the end of the redirects, which is a 200.
    async fn follow(&self, policy: &UrlPolicy, first: Url) -> Result<Response, FetchError> {
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.clients.get(&url).await?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            if !is_redirect(status) {
                return Err(refused_status(response, &url, &first, self.limits.idle).await);
            }
            let location = response
                .headers()
                .get(LOCATION)
                .map(|value| value.as_bytes().to_owned());
            let Some(location) = location.filter(|location| !location.is_empty()) else {
                return Err(redirect_without_location(response, self.limits.idle).await.into());
            };
            url = policy
                .check_redirect(&url, &location_text(&location))
                .map_err(|refusal| {
                    Problem::new(Category::Permanent, format!("redirected to a refused URL: {refusal}"))
                        .with_status(status.as_u16())
                })?;
        }
        Err(Problem::new(Category::Permanent, format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    /// What can be judged before the first byte; returns the announced length, in bytes as they are received.
    fn check_headers(&self, response: &Response) -> Result<Option<u64>, FetchError> {
        // The connection's own coding: with another one than these, where the body ends would be a guess.
        let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
        let refused = codings.find(|value| {
            let value = value.as_bytes().trim_ascii();
            !value.eq_ignore_ascii_case(b"chunked") && !value.eq_ignore_ascii_case(b"identity")
        });
        if let Some(value) = refused {
            let value: String = String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect();
            return Err(permanent(format!(
                "the server sent the file with {TRANSFER_ENCODING} {value:?}, unasked"
            ))
            .into());
        }
        let announced = announced_length(response);
        if let Some(bytes) = announced.filter(|&bytes| bytes > self.max_file_bytes) {
            return Err(permanent(too_large(bytes, self.max_file_bytes)).into());
        }
        Ok(announced)
    }
}

fn permanent(text: String) -> Problem {
    Problem::new(Category::Permanent, text).with_status(200)
}

/// The length that an answer announces. `5, 5` is a 5 as well; hyper refuses what differs or is not a number.
fn announced_length(response: &Response) -> Option<u64> {
    let value = header(response.headers(), CONTENT_LENGTH.as_str())?;
    value.split(',').next()?.trim().parse().ok()
}

/// The kind that the answer names its file. Names are not always ASCII in it.
fn named_by(headers: &HeaderMap) -> Option<FileType> {
    let disposition = headers.get(CONTENT_DISPOSITION)?;
    file_rules::type_in_disposition(&String::from_utf8_lossy(disposition.as_bytes()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
