//! The upload stage: puts a cached file into OneLake, then reports it, then lets the cached file go.

mod janitor;

use std::sync::Arc;
use std::time::Instant;

use fail::fail_point;

use janitor::Janitor;
use xact_cache::{Cache, CachedFile, Lookup};
use xact_config::Settings;
use xact_contracts::blob_path;
use xact_contracts::cache_path::{self, Layout};
use xact_contracts::category::Category;
use xact_contracts::messages::{CachedDownload, DownloadResult, Problem};
use xact_contracts::topology::Stage;
use xact_lake::{Connection, Content, FileError, FileStore, Location};
use xact_runtime::{Context, EachService, Emit, Factory, Failure, Handler, Limits, Outcome, SetupError, Unavailable};
use xact_telemetry::metrics::{InProgress, Status, count_onelake, metrics};

/// The handler.
pub struct Upload {
    files: Arc<dyn FileStore>,
    cache: Arc<Cache>,
    janitor: Janitor,
}

/// Note in a task's metadata: how often its cached file was missing.
const CACHE_MISSES: &str = "cache_misses";

/// After so many the volume is taken for not shared, or for cleaned by somebody else: the retry topics slow it down.
const MOST_CACHE_MISSES: u64 = 3;

/// What requests for files are counted as.
const FILES: &str = "files";

/// Label of the worker in its metrics.
const WORKER: &str = "upload";

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let limits = Limits::of_concurrency(settings.upload_concurrency).with_records(settings.upload_window);
        Ok(EachService::new(Upload::new(settings)?, limits))
    })
}

/// The files where the settings say. No I/O happens yet.
///
/// # Errors
/// When `ONELAKE_BASE_PATH` is missing or no folder, or there is no identity for OneLake.
pub fn open_files(settings: &Settings) -> Result<Arc<dyn FileStore>, SetupError> {
    if settings.onelake_base_path.is_empty() {
        return Err(SetupError::new(
            "ONELAKE_BASE_PATH is not set: name where the files go (abfss://… or file:///…)",
        ));
    }
    let setup = |error: &dyn std::fmt::Display| SetupError::new(format_args!("ONELAKE_BASE_PATH: {error}"));
    let location = Location::parse(&settings.onelake_base_path).map_err(|error| setup(&error))?;
    let connection =
        Connection::to(&location, || settings.identity(), settings.ca_file()).map_err(|error| setup(&error))?;
    let connection = connection.observed(Arc::new(|operation, class, price| {
        count_onelake(Stage::Upload, FILES, operation, class, price);
    }));
    xact_lake::open(&location, &connection).map_err(|error| setup(&error))
}

impl Upload {
    /// With the configured lake and cache folder.
    ///
    /// # Errors
    /// As [`open_files`].
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let files = open_files(settings)?;
        let cache = Arc::new(Cache::new(&settings.cache_dir));
        Ok(Self {
            janitor: Janitor::new(settings.clone(), Arc::clone(&cache)),
            files,
            cache,
        })
    }

    /// Whether the file was uploaded before.
    async fn is_there(&self, cached: &CachedDownload) -> Result<bool, FileError> {
        let sha256 = cached.sha256.to_ascii_lowercase();
        self.files
            .holds(&cached.destination_path, content(cached, &sha256))
            .await
    }

    /// Writes the file to OneLake, counted and timed. A file that was uploaded before is left as it is.
    async fn put(&self, cached: &CachedDownload, file: &CachedFile) -> Result<(), FileError> {
        let running = InProgress::start(metrics().uploads_concurrent(WORKER));
        let started = Instant::now();
        let sha256 = cached.sha256.to_ascii_lowercase();
        let put = self
            .files
            .put_file(&cached.destination_path, file.content(), content(cached, &sha256))
            .await;
        drop(running);
        metrics()
            .onelake_duration("upload")
            .observe(started.elapsed().as_secs_f64());
        metrics().onelake_operations("upload", Status::of(&put)).inc();
        match &put {
            Ok(()) => metrics().onelake_bytes("upload").inc_by(cached.bytes_downloaded),
            Err(error) => metrics().onelake_errors("upload", kind(error)).inc(),
        }
        put
    }

    /// The cached file is gone or not what it was: if it is in OneLake all the same, the upload was done before.
    async fn without_file(
        &self,
        cached: &CachedDownload,
        layout: Layout,
        why: &str,
        context: &Context,
    ) -> Result<Outcome<Self>, Failure> {
        if self.is_there(cached).await.map_err(|error| failure(&error))? {
            let emit = Emit::new().message(&DownloadResult::completed(cached, context.now));
            return Ok(match layout {
                // It is gone, or was removed because it was damaged.
                Layout::Current => emit.into(),
                // Its folder may be there, with what a killed upload left in it.
                Layout::Previous => emit.then(self.cache.remove(cached.media_id, layout)).into(),
            });
        }
        let mut task = cached.to_task();
        let misses = task
            .metadata
            .get(CACHE_MISSES)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
            + 1;
        if misses > MOST_CACHE_MISSES {
            return Err(Failure::message(
                Category::Transient,
                format!(
                    "the cached file was lost {misses} times ({why}): check that CACHE_DIR of the download and upload workers is one volume"
                ),
            ));
        }
        tracing::warn!(why, misses, "the cached file cannot be used: it is downloaded again");
        task.metadata.insert(CACHE_MISSES.to_owned(), misses.into());
        Ok(Emit::new().message(&task).into())
    }
}

impl Handler for Upload {
    const STAGE: Stage = Stage::Upload;

    type Input = CachedDownload;

    async fn handle(&self, cached: &CachedDownload, context: &Context) -> Result<Outcome<Self>, Failure> {
        let layout = cache_path::check(cached.media_id, &cached.local_cache_path)
            .map_err(|refusal| Problem::new(Category::Permanent, refusal.to_string()))?;
        if !blob_path::is_own(&cached.path_parts(), &cached.destination_path) {
            let reason = "destination_path is not a file in the folder of its event";
            return Err(Problem::new(Category::Permanent, reason).into());
        }
        let looked = self.cache.open(cached.media_id, layout, cached.bytes_downloaded);
        let file = match looked.await {
            Ok(Lookup::Found(file)) => file,
            Ok(Lookup::Unusable(why)) => return self.without_file(cached, layout, why, context).await,
            Err(error) => return Err(Unavailable::new("cache volume", error.to_string()).into()),
        };
        match self.put(cached, &file).await {
            Ok(()) => {
                fail_point!("uploaded", |_| std::process::abort());
                Ok(Emit::new()
                    .message(&DownloadResult::completed(cached, context.now))
                    // Not before the result is safe: a redelivery would need the file again.
                    .then(file.remove())
                    .into())
            }
            Err(FileError::SourceChanged { .. }) => {
                // The download stage must not take it for finished.
                file.remove().await;
                self.without_file(cached, layout, "it does not have the announced content", context)
                    .await
            }
            Err(error @ FileError::InvalidPath { .. }) => {
                // No upload will ever want it; a replay downloads it again.
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

fn content<'a>(cached: &CachedDownload, sha256: &'a str) -> Content<'a> {
    Content {
        bytes: cached.bytes_downloaded,
        sha256,
    }
}

fn kind(error: &FileError) -> &'static str {
    match error {
        FileError::Unavailable { .. } => "unavailable",
        FileError::InvalidPath { .. } => "invalid_path",
        FileError::SourceChanged { .. } => "cache",
    }
}

fn failure(error: &FileError) -> Failure {
    match error {
        FileError::InvalidPath { .. } => Failure::message(Category::Permanent, error.to_string()),
        // The storage's trouble is waited for, and so is anything else that is no fault of the message.
        _ => Unavailable::new("lake", error.to_string()).into(),
    }
}
