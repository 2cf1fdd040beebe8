//! The object store of tables in OneLake: `object_store`'s Azure client over the connection, with deletes one by one.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::DeltaResult;
use deltalake::logstore::{LogStore, LogStoreFactory, StorageConfig, default_logstore, logstore_factories};
use futures::stream::{BoxStream, StreamExt};
use http_body_util::BodyExt;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, RetryConfig,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use url::{PathSegmentsMut, Url};

use crate::azure::connection::{Http, SendError, blob_host};

/// Deletes at the same time. Only `table vacuum` and log clean-up delete many files.
const MAX_DELETES_AT_ONCE: usize = 16;

/// Requests of a table at the same time. The Delta kernel requests up to 1,000 log entries at once when it opens a table. Each
/// would open a connection, with a TLS handshake, and a server may not accept so many.
const MAX_REQUESTS_AT_ONCE: usize = 32;

/// Longest body that is read before the next request may begin, in bytes: its connection is free then. Log entries are shorter,
/// as a rule. A longer body waits for its reader, who may wait for another request.
const MAX_SHORT_BODY: u64 = 256 * 1024;

/// Returns the object store of a workspace. Only the Blob endpoint is used.
pub(crate) fn open(http: &Arc<Http>, workspace: &str, host: &str) -> Result<Arc<dyn ObjectStore>> {
    register_scheme();
    let endpoint = format!("https://{}", blob_host(host));
    let store = MicrosoftAzureBuilder::new()
        .with_account("onelake")
        .with_container_name(workspace)
        .with_endpoint(endpoint.clone())
        // The connection adds the token.
        .with_skip_signature(true)
        .with_http_connector(BlobClient {
            http: Arc::clone(http),
            permits: Arc::new(Semaphore::new(MAX_REQUESTS_AT_ONCE)),
        })
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(200),
                max_backoff: Duration::from_secs(10),
                base: 2.0,
            },
            max_retries: 5,
            retry_timeout: Duration::from_secs(60),
        })
        .build()?;
    let mut container = Url::parse(&endpoint).map_err(|_| generic(format!("{endpoint} is not a URL")))?;
    segments(&mut container)?.push(workspace);
    Ok(Arc::new(OneLakeStore {
        store,
        http: Arc::clone(http),
        container,
    }))
}

/// Registers a log store for `abfss:`, because deltalake does not open a table whose scheme has none.
fn register_scheme() {
    #[derive(Debug)]
    struct Logs;
    impl LogStoreFactory for Logs {
        fn with_options(
            &self,
            prefixed: Arc<dyn ObjectStore>,
            root: Arc<dyn ObjectStore>,
            location: &Url,
            options: &StorageConfig,
        ) -> DeltaResult<Arc<dyn LogStore>> {
            Ok(default_logstore(prefixed, root, location, options))
        }
    }
    static ONCE: LazyLock<()> = LazyLock::new(|| {
        if let Ok(scheme) = Url::parse("abfss://") {
            logstore_factories().insert(scheme, Arc::new(Logs));
        }
    });
    LazyLock::force(&ONCE);
}

fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic {
        store: "OneLake",
        source: error.into(),
    }
}

/// The Azure client of `object_store`, with another way to delete: that client deletes in batches, which OneLake refuses
/// with 400.
#[derive(Debug)]
struct OneLakeStore {
    store: MicrosoftAzure,
    http: Arc<Http>,
    container: Url,
}

impl fmt::Display for OneLakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneLake({})", self.container)
    }
}

#[async_trait]
impl ObjectStore for OneLakeStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (http, container) = (Arc::clone(&self.http), self.container.clone());
        locations
            .map(move |location| {
                let (http, container) = (Arc::clone(&http), container.clone());
                async move {
                    let location = location?;
                    delete(&http, container, &location).await?;
                    Ok(location)
                }
            })
            .buffered(MAX_DELETES_AT_ONCE)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// The runtime that sends the requests of tables. deltalake reads logs in calls that block their thread. A pooled connection
/// that is driven by the blocked thread would make no progress until its time limit.
static IO_RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_name("onelake-io").enable_all().build();
    if let Err(error) = &runtime {
        tracing::warn!(%error, "cannot start a thread for OneLake requests; they are sent from the threads of their callers");
    }
    runtime.ok()
});

async fn send(
    http: Arc<Http>,
    request: impl Fn() -> Result<reqwest::Request, reqwest::Error> + Send + Sync + 'static,
) -> Result<reqwest::Response, SendError> {
    let Some(io) = IO_RUNTIME.as_ref() else {
        return http.send(request).await;
    };
    let sent = io.spawn(async move { http.send(request).await });
    sent.await.unwrap_or_else(|error| {
        Err(SendError::Network {
            text: error.to_string(),
            is_connect: false,
        })
    })
}

fn segments(url: &mut Url) -> Result<PathSegmentsMut<'_>> {
    let segments = url.path_segments_mut();
    segments.map_err(|()| generic("the URL of the workspace has no path"))
}

async fn delete(http: &Arc<Http>, container: Url, location: &Path) -> Result<()> {
    let mut url = container;
    segments(&mut url)?.extend(location.parts().map(|part| part.as_ref().to_owned()));
    let client = Arc::clone(http);
    let build = move || {
        let request = client.request(http::Method::DELETE, url.clone());
        let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let request = request.header("x-ms-date", now.to_string());
        request.header("x-ms-version", "2023-11-03").build()
    };
    let answer = send(Arc::clone(http), build).await.map_err(generic)?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        http::StatusCode::NOT_FOUND => Err(Error::NotFound {
            path: location.to_string(),
            source: "404".into(),
        }),
        // Not retried: nothing depends on the delete, and the next vacuum repeats it.
        status => Err(generic(format!(
            "OneLake responds with {status} to the delete of {location}"
        ))),
    }
}

/// Sends the requests of `object_store`, a limited number at the same time.
#[derive(Clone, Debug)]
struct BlobClient {
    http: Arc<Http>,
    /// It is never closed.
    permits: Arc<Semaphore>,
}

impl HttpConnector for BlobClient {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for BlobClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let _permit = self.permits.acquire().await;
        let http = Arc::clone(&self.http);
        let build = move || {
            http.request(parts.method.clone(), url.clone())
                .headers(parts.headers.clone())
                .body(reqwest::Body::wrap(body.clone()))
                .build()
        };
        let answer = send(Arc::clone(&self.http), build).await.map_err(|error| {
            let kind = match &error {
                SendError::Network { is_connect: true, .. } => HttpErrorKind::Connect,
                SendError::Network { .. } => HttpErrorKind::Interrupted,
                // Not retried here: the response would be the same.
                _ => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, error)
        })?;
        let is_short = answer.content_length().is_some_and(|bytes| bytes <= MAX_SHORT_BODY);
        let answer: http::Response<reqwest::Body> = answer.into();
        let (parts, body) = answer.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, SendError::network(error)));
        let body = match is_short {
            true => HttpResponseBody::from(body.collect().await?.to_bytes()),
            false => HttpResponseBody::new(body),
        };
        Ok(HttpResponse::from_parts(parts, body))
    }
}
