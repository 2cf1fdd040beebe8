//! Tables in OneLake: `object_store`'s Azure client over our connection, with deletes that OneLake takes.

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
use url::Url;

use crate::azure::connection::{Http, Trouble};
use crate::azure::endpoints::blob_host;

/// Deletes at once. Only `table vacuum` and log clean-up delete many.
const DELETES: usize = 16;

/// The blobs of a workspace. Delta never uses the DFS endpoint.
pub(crate) fn open(http: &Arc<Http>, workspace: &str, host: &str) -> Result<Arc<dyn ObjectStore>> {
    register();
    let endpoint = format!("https://{}", blob_host(host));
    let store = MicrosoftAzureBuilder::new()
        .with_account("onelake")
        .with_container_name(workspace)
        .with_endpoint(endpoint.clone())
        // Signed by our connection, which also knows when a token has to be replaced.
        .with_skip_signature(true)
        .with_http_connector(Connector(Arc::clone(http)))
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
    let container = Url::parse(&endpoint)
        .ok()
        .and_then(|mut url| {
            url.path_segments_mut().ok()?.push(workspace);
            Some(url)
        })
        .ok_or_else(|| generic(format!("{endpoint} is no URL")))?;
    Ok(Arc::new(Blobs {
        store,
        http: Arc::clone(http),
        container,
    }))
}

/// deltalake opens no table whose scheme has no log store.
fn register() {
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

#[expect(clippy::needless_pass_by_value, reason = "a text, as it comes")]
fn generic(text: impl ToString) -> Error {
    Error::Generic {
        store: "OneLake",
        source: text.to_string().into(),
    }
}

/// As the client it stands on, but for deletes: that one sends them in batches, which OneLake answers with 400.
#[derive(Debug)]
struct Blobs {
    store: MicrosoftAzure,
    http: Arc<Http>,
    container: Url,
}

impl fmt::Display for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneLake({})", self.container)
    }
}

#[async_trait]
impl ObjectStore for Blobs {
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
            .buffered(DELETES)
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

/// Requests of tables are made here. Delta reads logs in calls that block their thread; a pooled connection that is driven
/// by the very thread that waits for it would answer after its time limit, not before.
static IO: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("onelake-io")
        .enable_all()
        .build();
    runtime
        .inspect_err(
            |error| tracing::warn!(%error, "no thread for OneLake's requests: they are made where they are asked for"),
        )
        .ok()
});

async fn send(
    http: Arc<Http>,
    request: impl Fn() -> Result<reqwest::Request, reqwest::Error> + Send + Sync + 'static,
) -> Result<reqwest::Response, Trouble> {
    let Some(io) = IO.as_ref() else {
        return http.send(request).await;
    };
    let sent = io.spawn(async move { http.send(request).await });
    sent.await.unwrap_or_else(|error| Err(Trouble::lost(&error)))
}

async fn delete(http: &Arc<Http>, container: Url, location: &Path) -> Result<()> {
    let mut url = container;
    url.path_segments_mut()
        .map_err(|()| generic("no URL to delete at"))?
        .extend(location.parts().map(|part| part.as_ref().to_owned()));
    let client = Arc::clone(http);
    let make = move || {
        client
            .request(http::Method::DELETE, url.clone())
            .header("x-ms-version", "2023-11-03")
            .header(
                "x-ms-date",
                jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            )
            .build()
    };
    let answer = send(Arc::clone(http), make).await.map_err(|trouble| Error::Generic {
        store: "OneLake",
        source: trouble.into(),
    })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        http::StatusCode::NOT_FOUND => Err(Error::NotFound {
            path: location.to_string(),
            source: "404".into(),
        }),
        // Whoever deletes comes again: nothing depends on it at once.
        status => Err(generic(format!("deleting {location} was answered with {status}"))),
    }
}

#[derive(Debug)]
struct Connector(Arc<Http>);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(Service(Arc::clone(&self.0))))
    }
}

#[derive(Debug)]
struct Service(Arc<Http>);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let http = Arc::clone(&self.0);
        let make = move || {
            http.request(parts.method.clone(), url.clone())
                .headers(parts.headers.clone())
                .body(reqwest::Body::wrap(body.clone()))
                .build()
        };
        let answer = send(Arc::clone(&self.0), make).await.map_err(|trouble| {
            let kind = match &trouble {
                Trouble::Network { is_connect: true, .. } => HttpErrorKind::Connect,
                Trouble::Network { .. } => HttpErrorKind::Interrupted,
                // Not tried again here: the answer would be the same.
                Trouble::Identity(_) | Trouble::Unauthorized(_) | Trouble::Forbidden { .. } => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, trouble)
        })?;
        let answer: http::Response<reqwest::Body> = answer.into();
        let (parts, body) = answer.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, Trouble::network(error)));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}
