//! The download stage: fetches an attachment into the cache, and checks everything that the message and the server claim.
//!
//! - [`fetch`]: HTTP; [`resolver`] permits public addresses only
//! - [`breaker`]: stops requests to hosts that are down
//! - [`not_yet`]: presigned URLs that are not valid yet
//! - [`retry_after`]: delays that servers request
//! - [`type_difference`]: files that are not what their name or their server says
//!
//! `xact_cache` writes the files.

mod breaker;
mod fetch;
mod not_yet;
mod resolver;
mod retry_after;
mod type_difference;

use std::sync::Arc;
use std::time::Instant;

use fail::fail_point;
use url::Url;

use breaker::{Breakers, FAILURE_THRESHOLD};
use fetch::{FetchError, Fetcher};
use xact_cache::{Cache, FileInfo, Slot};
use xact_config::Settings;
use xact_contracts::cache_path;
use xact_contracts::category::Category;
use xact_contracts::file_rules::{self, FileType};
use xact_contracts::messages::{CachedDownload, DownloadTask, Problem};
use xact_contracts::presigned;
use xact_contracts::topology::Stage;
use xact_contracts::url_guard::UrlPolicy;
use xact_runtime::{Context, Emit, Factory, Failure, Handler, Limits, Outcome, Service, SetupError, Unavailable};
use xact_telemetry::metrics::{InProgress, metrics};

/// The handler.
pub struct Download {
    policy: UrlPolicy,
    fetcher: Fetcher,
    cache: Cache,
    breakers: Breakers,
}

/// Label of the worker in its metrics.
const WORKER: &str = "download";

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let limits = Limits::of_concurrency(settings.download_concurrency).with_records(settings.download_window);
        Ok(Service::each(Download::new(settings)?, limits))
    })
}

impl Download {
    /// Uses the configured hosts, limits and cache folder.
    ///
    /// # Errors
    /// When the cache folder cannot be used or the HTTP client cannot be created.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        Ok(Self {
            policy: settings.url_policy(),
            fetcher: Fetcher::new(settings).map_err(SetupError::new)?,
            cache: Cache::create(&settings.cache_dir).map_err(SetupError::new)?,
            breakers: Breakers::default(),
        })
    }
}

impl Handler for Download {
    const STAGE: Stage = Stage::Download;

    type Input = DownloadTask;

    async fn handle(&self, task: &DownloadTask, context: &Context) -> Result<Outcome<Self>, Failure> {
        // The message is untrusted, so the rules of the event ingester are applied again.
        let url = self
            .policy
            .check(&task.attachment_url)
            .map_err(|error| permanent(error.to_string()))?;
        let named = file_rules::named_type(&url).map_err(|error| permanent(error.to_string()))?;
        // One download of a file at a time, also when the task was delivered twice.
        let slot = self.cache.slot(task.media_id).await;
        let path = cache_path::file(task.media_id);
        if let Some(cached) = slot.complete_file().await {
            return Ok(emit(task.clone(), path, cached));
        }
        if let Some(due) = not_yet::wait_in_place(&url, context.now)? {
            return Ok(Outcome::NotBefore(due));
        }
        match self.download(task, url, named, &slot, context).await {
            Ok(cached) => {
                if cfg!(debug_assertions) {
                    fail_point!("renamed", |_| std::process::abort());
                }
                Ok(emit(task.clone(), path, cached))
            }
            // A process of the previous version may have completed the file and stopped before it wrote the message, and the URL
            // may have expired since. This is checked only after a failure, because it costs a call.
            Err(failure) => {
                let cached = slot.complete_file_in_previous_layout().await.ok_or(failure)?;
                Ok(emit(task.clone(), cache_path::previous_file(task.media_id), cached))
            }
        }
    }
}

impl Download {
    /// Fetches the file unless its URL has expired, the volume is full, or the host's circuit breaker is open.
    async fn download(
        &self,
        task: &DownloadTask,
        url: Url,
        named: Option<FileType>,
        slot: &Slot,
        context: &Context,
    ) -> Result<FileInfo, Failure> {
        if let Some(expiry) = presigned::expiry(&url).filter(|expiry| expiry.is_expired(context.now)) {
            return Err(permanent(format!(
                "the presigned URL ({}) expired at {}",
                expiry.kind.as_str(),
                xact_contracts::time::format(expiry.expires_at)
            )));
        }
        self.check_volume().await?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let Some(attempt) = self.breakers.admit(&host, Instant::now()) else {
            let text = format!(
                "{host} failed {FAILURE_THRESHOLD} times in a row: the circuit is open, no request is made for up to 30 s"
            );
            return Err(Failure::message(Category::CircuitOpen, text));
        };
        let running = InProgress::start(metrics().downloads_concurrent(WORKER));
        let fetched = self.fetcher.fetch(&self.policy, url, named, slot).await;
        drop(running);
        match fetched {
            Ok((cached, judged)) => {
                attempt.succeeded();
                type_difference::report(task, &judged);
                metrics().download_bytes(WORKER).inc_by(cached.bytes);
                Ok(cached)
            }
            Err(FetchError::Cache(error)) => {
                attempt.undecided();
                Err(Unavailable::new("cache volume", error.to_string()).into())
            }
            Err(FetchError::Failed { problem, retry_after }) => {
                // Any other response shows that the host is up.
                if is_failure_of_host(&problem) {
                    attempt.failed(Instant::now());
                } else {
                    attempt.succeeded();
                }
                Err(Failure::Message { problem, retry_after })
            }
        }
    }

    /// Checks that the cache volume has room for another download, and exports how full it is.
    async fn check_volume(&self) -> Result<(), Unavailable> {
        let unavailable = |reason: String| Unavailable::new("cache volume", reason);
        let volume = self.cache.volume().await;
        let volume = volume.map_err(|error| unavailable(error.to_string()))?;
        metrics().cache_used(WORKER).set(volume.used);
        let checked = volume.check(self.cache.path());
        checked.map_err(|full| unavailable(full.to_string()))
    }
}

/// Returns whether a failure shows that the host is down or overloaded: it did not respond, not completely, or with a status that says so.
///
/// A 4xx that is retried because of its code (for example a URL that is not valid yet) concerns one file only.
fn is_failure_of_host(problem: &Problem) -> bool {
    let is_about_the_host = matches!(problem.http_status, None | Some(200 | 408 | 425 | 429 | 500..));
    problem.category == Category::Transient && is_about_the_host
}

fn permanent(text: String) -> Failure {
    Problem::new(Category::Permanent, text).into()
}

fn emit(task: DownloadTask, local_cache_path: String, cached: FileInfo) -> Outcome<Download> {
    let (kind, bytes, at) = (cached.kind, cached.bytes, cached.downloaded_at);
    let cached = CachedDownload::of_task(task, local_cache_path, bytes, kind.content_type, cached.sha256, at);
    let message = cached.found_to_be(kind.file_type, kind.declared_content_type);
    Emit::new().message(&message).into()
}
