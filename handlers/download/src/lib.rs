//! The download stage: fetches one attachment into the cache, checking all that the message and the server claim.
//!
//! [`fetch`] speaks HTTP, [`resolver`] lets it reach public addresses only, [`breaker`] spares hosts that are down,
//! [`volume`] refuses while the cache is full, [`not_yet`] waits for URLs that are not valid yet, and [`retry_after`] reads what
//! servers ask for. The files themselves are written by `xact_cache`.

mod breaker;
mod fetch;
mod not_yet;
mod resolver;
mod retry_after;
mod volume;

use std::sync::Arc;

use fail::fail_point;
use tracing::warn;
use url::Url;

use breaker::Breakers;
use fetch::{FetchError, Fetcher};
use xact_cache::{Cache, FileInfo, Slot};
use xact_config::Settings;
use xact_contracts::cache_path;
use xact_contracts::category::Category;
use xact_contracts::file_rules::{self, Declared, FileType, Judged};
use xact_contracts::messages::{CachedDownload, DownloadTask, Problem};
use xact_contracts::presigned;
use xact_contracts::topology::Stage;
use xact_contracts::url_guard::UrlPolicy;
use xact_runtime::{Context, EachService, Emit, Factory, Failure, Handler, Limits, Outcome, SetupError, Unavailable};
use xact_telemetry::metrics::{InProgress, metrics};

/// The handler.
pub struct Download {
    policy: UrlPolicy,
    fetcher: Fetcher,
    cache: Cache,
    breakers: Breakers,
}

/// Label of the worker in its metrics.
pub(crate) const WORKER: &str = "download";

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let limits = Limits::of_concurrency(settings.download_concurrency).with_records(settings.download_window);
        Ok(EachService::new(Download::new(settings)?, limits))
    })
}

impl Download {
    /// With the configured hosts, limits and cache folder.
    ///
    /// # Errors
    /// When the cache folder cannot be used or the HTTP client not be made.
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
        // The message is untrusted: the same rules as at ingest.
        let url = self
            .policy
            .check(&task.attachment_url)
            .map_err(|refusal| permanent(refusal.to_string()))?;
        let named = file_rules::named_type(&url).map_err(|refusal| permanent(refusal.to_string()))?;
        // One download of a file at a time, also when its task came twice.
        let slot = self.cache.slot(task.media_id).await;
        if let Some(cached) = slot.complete_file().await {
            let path = cache_path::file(task.media_id);
            return Ok(emit(task.clone(), path, cached));
        }
        if let Some(due) = not_yet::wait_in_place(&url, context.now)? {
            return Ok(Outcome::NotBefore(due));
        }
        match self.download(task, url, named, &slot, context).await {
            Ok(cached) => {
                fail_point!("renamed", |_| std::process::abort());
                let path = cache_path::file(task.media_id);
                Ok(emit(task.clone(), path, cached))
            }
            // A process of the version before may have finished the file, and been stopped before its message was written.
            // Its URL may have expired since. Only now: before each download, it would cost one more call.
            Err(failure) => match slot.complete_file_in_previous_layout().await {
                Some(cached) => {
                    let path = cache_path::previous_file(task.media_id);
                    Ok(emit(task.clone(), path, cached))
                }
                None => Err(failure),
            },
        }
    }
}

impl Download {
    /// Fetches the file, unless its URL has expired, the volume is full, or its host is given a rest.
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
        volume::check(&self.cache).await?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let Some(attempt) = self.breakers.admit(&host) else {
            return Err(Failure::message(
                Category::CircuitOpen,
                format!(
                    "{host} failed {} times in a row: the circuit is open, no request is made for up to 30 s",
                    breaker::FAILURE_THRESHOLD
                ),
            ));
        };
        let running = InProgress::start(metrics().downloads_concurrent(WORKER));
        let fetched = self.fetcher.fetch(&self.policy, url, named, slot).await;
        drop(running);
        match fetched {
            Ok((cached, judged)) => {
                attempt.succeeded();
                report_difference(task, &judged);
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
                    attempt.failed();
                } else {
                    attempt.succeeded();
                }
                Err(Failure::Message { problem, retry_after })
            }
        }
    }
}

/// Returns whether the host is down or overloaded: it did not respond, not completely, or with a status that says so.
///
/// A 4xx that is retried because of its code (for example a URL that is not valid yet) concerns one file only.
fn is_failure_of_host(problem: &Problem) -> bool {
    let is_about_the_host = matches!(problem.http_status, None | Some(200 | 408 | 425 | 429 | 500..));
    problem.category == Category::Transient && is_about_the_host
}

/// Reports a file whose content differs from its name or from the server's `Content-Type`.
fn report_difference(task: &DownloadTask, judged: &Judged) {
    if !judged.differs() {
        return;
    }
    let named = judged.named.map_or("UNKNOWN", FileType::label);
    let declared = match judged.declared {
        Declared::Nothing | Declared::Fits => "fits",
        Declared::Differs(Some(other)) => other.label(),
        Declared::Differs(None) => "other",
        Declared::Active => "active",
    };
    let found = judged.file_type.label();
    metrics().attachment_type_differences(named, declared, found).inc();
    warn!(
        trace_id = task.trace_id,
        media_id = %task.media_id,
        named,
        declared = judged.declared_content_type,
        found,
        "the attachment's content differs from its name or from the server's Content-Type; it is stored as what it is"
    );
}

fn permanent(text: String) -> Failure {
    Problem::new(Category::Permanent, text).into()
}

fn emit(task: DownloadTask, local_cache_path: String, cached: FileInfo) -> Outcome<Download> {
    let (kind, bytes) = (cached.kind, cached.bytes);
    let cached = CachedDownload::of_task(
        task,
        local_cache_path,
        bytes,
        kind.content_type,
        cached.sha256,
        cached.downloaded_at,
    );
    Emit::new()
        .message(&cached.found_to_be(kind.file_type, kind.declared_content_type))
        .into()
}
