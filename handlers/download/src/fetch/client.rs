//! The HTTP clients, and when a request is asked a second time at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, redirect};
use url::Url;

use super::problems::{Repeat, request_problem};
use super::{ClientError, FetchError, TimeLimits};
use crate::resolver::PublicResolver;
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::messages::Problem;
use xact_telemetry::metrics::metrics;

/// How long a connection without a request is kept: less than S3 keeps it, which is about 20 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Makes requests: on connections that are kept, and for the second attempt on new ones.
pub(super) struct Clients {
    pooled: Client,
    /// Makes a connection a request, and skips lines of an answer that are not headers.
    unpooled: Client,
    /// Hosts that have answered, with their ports: before that, no connection to them can have been kept.
    answered: Mutex<HashSet<String>>,
}

impl Clients {
    pub(super) fn new(
        settings: &Settings,
        resolver: &PublicResolver,
        limits: &TimeLimits,
    ) -> Result<Self, ClientError> {
        let ca = match settings.dev.as_ref().and_then(|dev| dev.ca_file.as_ref()) {
            Some(file) => Some(Certificate::from_pem(
                &std::fs::read(file).map_err(ClientError::CaFile)?,
            )?),
            None => None,
        };
        let builder = || {
            let builder = builder(resolver.clone(), limits);
            match &ca {
                Some(ca) => builder.tls_certs_merge([ca.clone()]),
                None => builder,
            }
        };
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

    /// The answer to a GET.
    ///
    /// It is asked a second time at once, on a new connection, in two cases. A server may close a kept connection just when it is
    /// used again; GET is idempotent, so this is not a failure yet (RFC 9112, section 9.3.1). And an answer with a line that is
    /// no header is read again without that line. The line that is skipped could be the one that says where the body ends: such an
    /// answer counts only if it announces its length, and its connection is not used again.
    pub(super) async fn get(&self, url: &Url) -> Result<Response, FetchError> {
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let error = match self.pooled.get(url.clone()).send().await {
            Ok(response) => {
                self.answered().insert(host);
                return Ok(response);
            }
            Err(error) => error,
        };
        let repeat = match Repeat::of(&error) {
            Some(Repeat::Closed) if !self.answered().contains(&host) => None,
            repeat => repeat,
        };
        let Some(repeat) = repeat else {
            return Err(request_problem(&error).into());
        };
        metrics().download_repeats(repeat.as_str()).inc();
        tracing::debug!(
            reason = repeat.as_str(),
            "the request is made again on a new connection"
        );
        let response = self.unpooled.get(url.clone()).send().await;
        let response = response.map_err(|error| request_problem(&error))?;
        if response.status() == StatusCode::OK && !announces_end(&response) {
            let text = "the answer has a line that is not a header, and does not announce where its body ends";
            return Err(Problem::new(Category::Transient, text).with_status(200).into());
        }
        Ok(response)
    }

    fn answered(&self) -> MutexGuard<'_, HashSet<String>> {
        self.answered.lock()
    }
}

fn builder(resolver: PublicResolver, limits: &TimeLimits) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("xact-pipeline/", env!("CARGO_PKG_VERSION")))
        // A proxy would resolve names for us, past the check of addresses.
        .no_proxy()
        .redirect(redirect::Policy::none())
        // One file a request: HTTP/2 would gain nothing, and has more ways to be attacked.
        .http1_only()
        // Both leave the header's name and value as they are meant: nothing is skipped.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .referer(false)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(limits.connect)
        .read_timeout(limits.idle)
}

/// Whether the answer itself says where its body ends, not only the end of the connection.
fn announces_end(response: &Response) -> bool {
    let headers = response.headers();
    headers.contains_key(CONTENT_LENGTH)
        || headers
            .get_all(TRANSFER_ENCODING)
            .iter()
            .any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}
