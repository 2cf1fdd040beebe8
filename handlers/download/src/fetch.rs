//! One download over HTTP: redirects, limits, and what each answer means.

use crate::cache::{CacheError, Cached, Part, Slot};
use crate::resolver::{NoAddress, PublicResolver, RefusedAddress};
use crate::retry_after;
use contracts::category::Category;
use contracts::file_rules::{CONTENT_HEAD_BYTES, FileType};
use contracts::messages::Problem;
use contracts::url_guard::UrlPolicy;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use runtime::config::Settings;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Redirects that are followed, each under the same rules as the first URL.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Overall limit: this long, and longer by what this rate needs for the bytes that came.
const BASE_LIMIT: Duration = Duration::from_secs(120);
const LEAST_BYTES_PER_SECOND: u64 = 64 * 1024;

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
}

impl Fetcher {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClientError> {
        Self::with_resolver(settings, PublicResolver::new(settings.dev.clone()))
    }

    /// With names resolved by `resolver`.
    pub(crate) fn with_resolver(settings: &Settings, resolver: PublicResolver) -> Result<Self, ClientError> {
        let mut client = Client::builder()
            .user_agent(concat!("xact-pipeline/", env!("CARGO_PKG_VERSION")))
            // A proxy would resolve names for us, past the check of addresses.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(resolver))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.download_concurrency)
            .pool_idle_timeout(Duration::from_secs(60));
        if let Some(file) = settings.dev.as_ref().and_then(|dev| dev.ca_file.as_ref()) {
            let pem = std::fs::read(file).map_err(ClientError::CaFile)?;
            client = client.tls_certs_merge([Certificate::from_pem(&pem)?]);
        }
        Ok(Self {
            client: client.build()?,
            max_file_bytes: settings.max_file_bytes,
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
        let started = Instant::now();
        let response = self.follow(policy, url).await?;
        let content_type = header(response.headers(), CONTENT_TYPE.as_str()).map(str::to_owned);
        let announced = self.check_headers(&response, file_type, content_type.as_deref())?;
        let mut body = Body {
            response,
            part: slot.begin(),
            head: Vec::new(),
            file_type,
            announced,
            max_file_bytes: self.max_file_bytes,
            started,
        };
        body.receive().await?;
        Ok(body.part.finish(content_type, Timestamp::now()).await?)
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
        // None was asked for: what comes would not be the file.
        if let Some(encoding) = header(response.headers(), CONTENT_ENCODING.as_str())
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(permanent(format!(
                "the server sent the file with content encoding {encoding:?}, unasked"
            ))
            .into());
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

/// A body on its way into the cache.
struct Body {
    response: Response,
    part: Part,
    /// First bytes, until they are judged.
    head: Vec<u8>,
    file_type: FileType,
    announced: Option<u64>,
    max_file_bytes: u64,
    started: Instant,
}

impl Body {
    async fn receive(&mut self) -> Result<(), FetchError> {
        let mut judged = false;
        while let Some(piece) = self.response.chunk().await.map_err(|error| body_problem(&error))? {
            if !judged {
                let wanted = CONTENT_HEAD_BYTES.saturating_sub(self.head.len()).min(piece.len());
                self.head.extend_from_slice(&piece[..wanted]);
                if self.head.len() >= CONTENT_HEAD_BYTES {
                    self.judge()?;
                    judged = true;
                }
            }
            self.part.write(&piece).await?;
            self.check_limits()?;
        }
        if !judged {
            self.judge_length()?;
            self.judge()?;
        }
        self.judge_length()
    }

    fn judge(&self) -> Result<(), FetchError> {
        self.file_type.check_content(&self.head).map_err(|refusal| {
            Problem::new(Category::Permanent, refusal.to_string())
                .with_status(200)
                .into()
        })
    }

    /// hyper ends a short body with an error itself; this holds also where it does not.
    fn judge_length(&self) -> Result<(), FetchError> {
        match self.announced {
            Some(announced) if announced != self.part.bytes() => Err(Problem::new(
                Category::Transient,
                format!("the body has {} bytes, {announced} were announced", self.part.bytes()),
            )
            .with_status(200)
            .into()),
            _ => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), FetchError> {
        let bytes = self.part.bytes();
        if bytes > self.max_file_bytes {
            return Err(Problem::new(Category::Permanent, too_large(bytes, self.max_file_bytes))
                .with_status(200)
                .into());
        }
        let limit = BASE_LIMIT + Duration::from_secs(bytes / LEAST_BYTES_PER_SECOND);
        if self.started.elapsed() > limit {
            return Err(Problem::new(
                Category::Transient,
                format!("too slow: {bytes} bytes in {} s", self.started.elapsed().as_secs()),
            )
            .with_status(200)
            .into());
        }
        Ok(())
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn too_large(bytes: u64, limit: u64) -> String {
    format!("the file has {bytes} bytes or more, MAX_FILE_BYTES allows {limit}")
}

/// The table of the specification, section 4.
const fn category_of(status: u16) -> Category {
    match status {
        401 | 407 => Category::Auth,
        408 | 425 | 429 | 500..=599 => Category::Transient,
        400..=499 => Category::Permanent,
        _ => Category::Unknown,
    }
}

fn refused_status(response: &Response) -> FetchError {
    let status = response.status();
    let category = category_of(status.as_u16());
    let retry_after = header(response.headers(), RETRY_AFTER.as_str())
        .filter(|_| category.is_retryable())
        .and_then(|value| retry_after::parse(value, Timestamp::now()));
    FetchError::Refused {
        problem: Problem::new(category, format!("the server answered {status}")).with_status(status.as_u16()),
        retry_after,
    }
}

fn request_problem(error: &reqwest::Error) -> Problem {
    if let Some(refused) = cause::<RefusedAddress>(error) {
        return Problem::new(Category::Permanent, refused.to_string());
    }
    if let Some(unknown) = cause::<NoAddress>(error) {
        return Problem::new(Category::Transient, unknown.to_string());
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the request failed"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error)))
}

fn body_problem(error: &reqwest::Error) -> Problem {
    let what = if error.is_timeout() {
        "the body stopped coming"
    } else {
        "the body was cut short"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error))).with_status(200)
}

/// The cause at the bottom: the layers above it only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_specification() {
        for (status, category) in [
            (400, Category::Permanent),
            (401, Category::Auth),
            (403, Category::Permanent),
            (404, Category::Permanent),
            (407, Category::Auth),
            (408, Category::Transient),
            (410, Category::Permanent),
            (425, Category::Transient),
            (429, Category::Transient),
            (500, Category::Transient),
            (503, Category::Transient),
            (599, Category::Transient),
            (204, Category::Unknown),
            (206, Category::Unknown),
            (304, Category::Unknown),
            (600, Category::Unknown),
        ] {
            assert_eq!(category_of(status), category, "{status}");
        }
    }
}
