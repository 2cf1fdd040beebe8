//! One download over HTTP: redirects, limits, and what each response means.

mod body;
mod client;
mod coding;
mod error;
#[cfg(test)]
mod raw_server;
mod service_error;
mod status;
#[cfg(test)]
mod tests;
mod timeouts;
mod transport;

use std::time::Instant;

use jiff::Timestamp;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};
use url::Url;

use crate::resolver::PublicResolver;
use body::{Body, too_large};
use client::{ClientError, Clients};
use coding::Decoding;
use error::problem_of_200;
use status::{header, redirect_without_location, status_failure};
use xact_cache::{ContentKind, FileInfo, Slot};
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::file_rules::{self, FileType, Judged};
use xact_contracts::messages::Problem;
use xact_contracts::url_guard::{UrlPolicy, location_text};

pub(crate) use error::FetchError;
pub(crate) use timeouts::Timeouts;

/// Most redirects that are followed, each under the same rules as the first URL.
const MAX_REDIRECTS: usize = 5;

/// Downloads files.
pub(crate) struct Fetcher {
    clients: Clients,
    max_file_bytes: u64,
    timeouts: Timeouts,
}

impl Fetcher {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let resolver = PublicResolver::new(settings.dev.clone());
        Self::with(settings, &resolver, Timeouts::default())
    }

    /// Uses another resolver and other timeouts.
    pub(crate) fn with(
        settings: &Settings,
        resolver: &PublicResolver,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            clients: Clients::new(settings, resolver, &timeouts)?,
            max_file_bytes: settings.max_file_bytes,
            timeouts,
        })
    }

    /// Downloads `url` into the slot and judges the content. `named` is the type that the URL names, if it names one.
    pub(crate) async fn fetch(
        &self,
        policy: &UrlPolicy,
        url: Url,
        named: Option<FileType>,
        slot: &Slot,
    ) -> Result<(FileInfo, Judged), FetchError> {
        let base = self.timeouts.base;
        let response = tokio::time::timeout(base, self.follow(policy, url)).await;
        let response = response.map_err(|_| {
            let text = format!("the request timed out: no response within {} s", base.as_secs());
            Problem::new(Category::Transient, text)
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
            timeouts: self.timeouts,
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

    /// Follows redirects and returns the response with status 200.
    async fn follow(&self, policy: &UrlPolicy, first: Url) -> Result<Response, FetchError> {
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.clients.get(&url).await?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            if !is_redirect(status) {
                return Err(status_failure(response, &url, &first, self.timeouts.idle).await);
            }
            let location = response.headers().get(LOCATION).filter(|value| !value.is_empty());
            let Some(location) = location.map(|value| location_text(value.as_bytes())) else {
                return Err(redirect_without_location(response, self.timeouts.idle).await.into());
            };
            url = policy.check_redirect(&url, &location).map_err(|error| {
                let text = format!("redirected to a refused URL: {error}");
                Problem::new(Category::Permanent, text).with_status(status.as_u16())
            })?;
        }
        Err(Problem::new(Category::Permanent, format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    /// Checks what is known before the first byte of the body. Returns the announced length, before decoding.
    fn check_headers(&self, response: &Response) -> Result<Option<u64>, FetchError> {
        // With any other transfer coding, the end of the body would be a guess.
        let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
        let refused = codings.find(|value| {
            let value = value.as_bytes().trim_ascii();
            !value.eq_ignore_ascii_case(b"chunked") && !value.eq_ignore_ascii_case(b"identity")
        });
        if let Some(value) = refused {
            let value: String = String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect();
            let text = format!("the server sent the file with {TRANSFER_ENCODING} {value:?}, which was not requested");
            return Err(permanent(text).into());
        }
        let announced = announced_length(response);
        if let Some(bytes) = announced.filter(|&bytes| bytes > self.max_file_bytes) {
            return Err(permanent(too_large(bytes, self.max_file_bytes)).into());
        }
        Ok(announced)
    }
}

fn permanent(text: String) -> Problem {
    problem_of_200(Category::Permanent, text)
}

/// Returns the announced length. `5, 5` counts as 5; hyper rejects different or invalid numbers.
fn announced_length(response: &Response) -> Option<u64> {
    let value = header(response.headers(), CONTENT_LENGTH.as_str())?;
    value.split(',').next()?.trim().parse().ok()
}

/// Returns the file type that `Content-Disposition` names. File names in it are not always ASCII.
fn named_by(headers: &HeaderMap) -> Option<FileType> {
    let disposition = headers.get(CONTENT_DISPOSITION)?;
    file_rules::type_in_disposition(&String::from_utf8_lossy(disposition.as_bytes()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
