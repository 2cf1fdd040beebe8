//! The HTTP clients, and when a request is sent a second time at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, redirect};
use url::Url;

use super::error::{FetchError, problem_of_200};
use super::timeouts::Timeouts;
use super::transport::{Repeat, request_problem};
use crate::resolver::PublicResolver;
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_telemetry::metrics::metrics;

/// How long an idle connection is kept: less than the 20 s or so after which S3 closes it.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The HTTP clients cannot be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "the HTTP client cannot be created: {0}; check that the system's CA certificates are installed (package ca-certificates)"
    )]
    Client(#[from] reqwest::Error),
    #[error("DEV_CA_FILE cannot be read: {0}")]
    CaFile(std::io::Error),
}

/// Sends requests: on pooled connections, and for the second attempt on new ones.
pub(super) struct Clients {
    pooled: Client,
    /// Opens a connection per request, and skips lines of a response that are not headers.
    unpooled: Client,
    /// Hosts and ports that have responded: only to these can a connection be in the pool.
    answered: Mutex<HashSet<String>>,
}

impl Clients {
    pub(super) fn new(
        settings: &Settings,
        resolver: &PublicResolver,
        timeouts: &Timeouts,
    ) -> Result<Self, ClientError> {
        let ca_file = settings.dev.as_ref().and_then(|dev| dev.ca_file.as_ref());
        let ca_pem = ca_file.map(std::fs::read).transpose().map_err(ClientError::CaFile)?;
        let ca = ca_pem.map(|pem| Certificate::from_pem(&pem)).transpose()?;
        let builder = || builder(resolver.clone(), timeouts).tls_certs_merge(ca.clone());
        let pooled = builder()
            .pool_max_idle_per_host(settings.download_concurrency)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT);
        let unpooled = builder()
            .pool_max_idle_per_host(0)
            .http1_ignore_invalid_headers_in_responses(true);
        Ok(Self {
            pooled: pooled.build()?,
            unpooled: unpooled.build()?,
            answered: Mutex::default(),
        })
    }

    /// Sends a GET request and returns the response.
    ///
    /// In two cases the request is sent a second time at once, on a new connection:
    /// - A server may close a pooled connection at the moment it is reused. GET is idempotent, so this is not a failure yet
    ///   (RFC 9112, section 9.3.1).
    /// - A response with a line that is not a header is read again without that line. Since the skipped line could be the
    ///   one that states where the body ends, such a response is used only if it announces its length, and its connection is
    ///   not reused.
    pub(super) async fn get(&self, url: &Url) -> Result<Response, FetchError> {
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let error = match self.pooled.get(url.clone()).send().await {
            Ok(response) => {
                self.answered.lock().insert(host);
                return Ok(response);
            }
            Err(error) => error,
        };
        let may_repeat = |repeat: &Repeat| *repeat != Repeat::Closed || self.answered.lock().contains(&host);
        let Some(repeat) = Repeat::of(&error).filter(may_repeat) else {
            return Err(request_problem(&error).into());
        };
        let reason = repeat.as_str();
        metrics().download_repeats(reason).inc();
        tracing::debug!(reason, "the request is sent again on a new connection");
        let response = self.unpooled.get(url.clone()).send().await;
        let response = response.map_err(|error| request_problem(&error))?;
        if response.status() == StatusCode::OK && !announces_end(&response) {
            let text = "the response has a line that is not a header, and does not announce where its body ends";
            return Err(problem_of_200(Category::Transient, text).into());
        }
        Ok(response)
    }
}

fn builder(resolver: PublicResolver, timeouts: &Timeouts) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("xact-pipeline/", env!("CARGO_PKG_VERSION")))
        // A proxy would resolve names itself and bypass the check of addresses.
        .no_proxy()
        .redirect(redirect::Policy::none())
        // HTTP/2 gains nothing for single files, and has a larger attack surface.
        .http1_only()
        // Both keep the header's name and value as intended: nothing is skipped.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .referer(false)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.idle)
}

/// Returns whether the response states where its body ends, other than by closing the connection.
fn announces_end(response: &Response) -> bool {
    let headers = response.headers();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = codings.any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    is_chunked || headers.contains_key(CONTENT_LENGTH)
}
