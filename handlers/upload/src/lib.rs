//! The upload stage: writes a cached file to OneLake, emits the result, and then removes the cached file.

mod files;
mod janitor;

use std::sync::Arc;
use std::time::Instant;

use fail::fail_point;
use serde_json::Value;

use janitor::Janitor;
use xact_cache::{Cache, CachedContent, CachedFile, Lookup};
use xact_config::Settings;
use xact_contracts::blob_path;
use xact_contracts::cache_path::{self, Layout};
use xact_contracts::category::Category;
use xact_contracts::messages::{CachedDownload, DownloadResult, Problem};
use xact_contracts::topology::Stage;
use xact_lake::{Content, FileError, FileSource, FileStore};
use xact_runtime::{Context, Emit, Factory, Failure, Handler, Limits, Outcome, Service, SetupError, Unavailable};
use xact_telemetry::metrics::{InProgress, Status, metrics};

pub use files::open_files;

/// The handler.
pub struct Upload {
    files: Arc<dyn FileStore>,
    cache: Arc<Cache>,
    janitor: Janitor,
}

/// Key in a task's metadata: how often its cached file was missing.
const CACHE_MISSES: &str = "cache_misses";

/// Most misses that are followed by another download. After that the volume is probably not shared, or is cleaned by another
/// program, and the task goes to the retry topics.
const MAX_CACHE_MISSES: u64 = 3;

/// Label of the worker in its metrics.
const WORKER: &str = "upload";

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let limits = Limits::of_concurrency(settings.upload_concurrency).with_records(settings.upload_window);
        Ok(Service::each(Upload::new(settings)?, limits))
    })
}

impl Upload {
    /// Uses the configured lake and cache folder.
    ///
    /// # Errors
    /// Those of [`open_files`].
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let files = open_files(settings)?;
        let cache = Arc::new(Cache::new(&settings.cache_dir));
        Ok(Self {
            janitor: Janitor::new(settings.clone(), Arc::clone(&cache)),
            files,
            cache,
        })
    }

    /// Writes the file to OneLake and updates the metrics. A file that was uploaded before is left unchanged.
    async fn put(&self, cached: &CachedDownload, file: &CachedFile) -> Result<(), FileError> {
        let running = InProgress::start(metrics().uploads_concurrent(WORKER));
        let started = Instant::now();
        let sha256 = cached.sha256.to_ascii_lowercase();
        let content = content(cached, &sha256);
        let put = self.files.put_file(&cached.destination_path, source(file), content);
        let put = put.await;
        drop(running);
        let seconds = started.elapsed().as_secs_f64();
        metrics().onelake_duration("upload").observe(seconds);
        metrics().onelake_operations("upload", Status::of(&put)).inc();
        match &put {
            Ok(()) => metrics().onelake_bytes("upload").inc_by(cached.bytes_downloaded),
            Err(error) => metrics().onelake_errors("upload", error_label(error)).inc(),
        }
        put
    }

    /// Handles a message whose cached file is missing or damaged.
    ///
    /// If the file is in OneLake, it was uploaded before, and the result is emitted again. Otherwise it is downloaded again.
    async fn without_cached_file(
        &self,
        cached: &CachedDownload,
        layout: Layout,
        reason: &str,
        context: &Context,
    ) -> Result<Outcome<Self>, Failure> {
        let sha256 = cached.sha256.to_ascii_lowercase();
        let is_uploaded = self.files.holds(&cached.destination_path, content(cached, &sha256));
        if is_uploaded.await.map_err(|error| failure(&error))? {
            let emit = Emit::new().message(&DownloadResult::completed(cached, context.now));
            return Ok(match layout {
                Layout::Current => emit.into(),
                // A killed upload may have left the folder with the note in it.
                Layout::Previous => emit.then(self.cache.remove(cached.media_id, layout)).into(),
            });
        }
        let mut task = cached.to_task();
        let misses = 1 + task.metadata.get(CACHE_MISSES).and_then(Value::as_u64).unwrap_or(0);
        if misses > MAX_CACHE_MISSES {
            let text = format!(
                "the cached file was lost {misses} times ({reason}): check that CACHE_DIR of the download and upload workers is one volume"
            );
            return Err(Failure::message(Category::Transient, text));
        }
        tracing::warn!(reason, misses, "the cached file cannot be used: it is downloaded again");
        task.metadata.insert(CACHE_MISSES.to_owned(), misses.into());
        Ok(Emit::new().message(&task).into())
    }
}

impl Handler for Upload {
    const STAGE: Stage = Stage::Upload;

    type Input = CachedDownload;

    async fn handle(&self, cached: &CachedDownload, context: &Context) -> Result<Outcome<Self>, Failure> {
        let layout = cache_path::check(cached.media_id, &cached.local_cache_path)
            .map_err(|error| Problem::new(Category::Permanent, error.to_string()))?;
        if !blob_path::is_own(&cached.path_parts(), &cached.destination_path) {
            let reason = "destination_path is not a file in the folder of its event";
            return Err(Problem::new(Category::Permanent, reason).into());
        }
        let lookup = self.cache.open(cached.media_id, layout, cached.bytes_downloaded);
        let file = match lookup.await {
            Ok(Lookup::Found(file)) => file,
            Ok(Lookup::Unusable(reason)) => return self.without_cached_file(cached, layout, reason, context).await,
            Err(error) => return Err(Unavailable::new("cache volume", error.to_string()).into()),
        };
        match self.put(cached, &file).await {
            Ok(()) => {
                if cfg!(debug_assertions) {
                    fail_point!("uploaded", |_| std::process::abort());
                }
                Ok(Emit::new()
                    .message(&DownloadResult::completed(cached, context.now))
                    // Only after the result is acknowledged: a redelivered message needs the file.
                    .then(file.remove())
                    .into())
            }
            Err(FileError::SourceChanged { .. }) => {
                // Otherwise the download stage would find it and announce it again.
                file.remove().await;
                let reason = "it does not have the announced content";
                self.without_cached_file(cached, layout, reason, context).await
            }
            Err(error @ FileError::InvalidPath { .. }) => {
                // No upload can succeed; a replay downloads it again.
                file.remove().await;
                Err(failure(&error))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    async fn upkeep(&self) {
        self.janitor.run().await;
    }
}

fn source(file: &CachedFile) -> FileSource {
    match file.content() {
        CachedContent::Bytes(bytes) => FileSource::Bytes(bytes),
        CachedContent::File(file) => FileSource::File(file),
    }
}

fn content<'a>(cached: &CachedDownload, sha256: &'a str) -> Content<'a> {
    Content {
        bytes: cached.bytes_downloaded,
        sha256,
    }
}

fn error_label(error: &FileError) -> &'static str {
    match error {
        FileError::Unavailable { .. } => "unavailable",
        FileError::InvalidPath { .. } => "invalid_path",
        FileError::SourceChanged { .. } => "cache",
    }
}

fn failure(error: &FileError) -> Failure {
    match error {
        FileError::InvalidPath { .. } => Failure::message(Category::Permanent, error.to_string()),
        // Every other error has its cause in the storage: the message waits.
        _ => Unavailable::new("lake", error.to_string()).into(),
    }
}
