//! A server that records requests and sends scripted answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, Uri};
use axum_server::tls_rustls::RustlsConfig;
use futures::stream;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A request.
pub(super) struct RecordedRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl RecordedRequest {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the parameters of the query.
    pub(super) fn query(&self) -> HashMap<String, String> {
        let query = self.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// Returns the fields of the form.
    pub(super) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// An answer.
#[derive(Clone)]
pub(super) enum Reply {
    Json(u16, String),
    Html(u16, String),
    Throttled(u64),
    /// No answer.
    Silence,
    /// A header, and then a body without end.
    Endless,
    /// A header, and then nothing.
    Stuck,
}

impl Reply {
    pub(super) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Json(status, body.into())
    }

    pub(super) fn html(status: u16, body: impl Into<String>) -> Self {
        Self::Html(status, body.into())
    }

    async fn into_response(self) -> Response<Body> {
        let answer = |status: u16, content_type: &str, body: Body| {
            let answer = Response::builder().status(status).header("content-type", content_type);
            answer.body(body).unwrap()
        };
        match self {
            Self::Json(status, body) => answer(status, "application/json; charset=utf-8", body.into()),
            Self::Html(status, body) => answer(status, "text/html", body.into()),
            Self::Throttled(seconds) => {
                let mut answer = answer(429, "application/json", Body::from("{}"));
                answer.headers_mut().insert("retry-after", seconds.into());
                answer
            }
            Self::Silence => std::future::pending().await,
            Self::Endless => {
                let pieces = stream::repeat(Ok::<_, Infallible>(Bytes::from_static(&[b' '; 8192])));
                answer(200, "application/json", Body::from_stream(pieces))
            }
            Self::Stuck => {
                let pieces = stream::pending::<Result<Bytes, Infallible>>();
                answer(200, "application/json", Body::from_stream(pieces))
            }
        }
    }
}

type Answers = Arc<dyn Fn(&RecordedRequest, usize) -> Reply + Send + Sync>;

pub(super) struct Server {
    pub(super) url: String,
    pub(super) ca_pem: Vec<u8>,
    recorded: Arc<Mutex<Vec<RecordedRequest>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts without TLS, like the endpoint of a container app.
    pub(super) fn plain(answers: impl Fn(&RecordedRequest, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answers))
    }

    /// Starts with a certificate of its own authority: connections to Entra use https only.
    pub(super) fn tls(answers: impl Fn(&RecordedRequest, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Some(certificate()), Arc::new(answers))
    }

    fn start(certificate: Option<(RustlsConfig, String)>, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let written = recorded.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (written, answers) = (written.clone(), answers.clone());
            async move {
                let (parts, body) = request.into_parts();
                let request = RecordedRequest {
                    method: parts.method,
                    uri: parts.uri,
                    headers: parts.headers,
                    body: to_bytes(body, 1 << 20).await.unwrap(),
                };
                let reply = {
                    let mut written = written.lock().unwrap();
                    let reply = answers(&request, written.len() + 1);
                    written.push(request);
                    reply
                };
                reply.into_response().await
            }
        });
        let (scheme, ca_pem, task) = match certificate {
            Some((tls, ca_pem)) => {
                let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
                let task = tokio::spawn(async move { server.serve(app.into_make_service()).await.unwrap() });
                ("https", ca_pem, task)
            }
            None => {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
                ("http", String::new(), task)
            }
        };
        Self {
            url: format!("{scheme}://localhost:{}", address.port()),
            ca_pem: ca_pem.into_bytes(),
            recorded,
            task,
        }
    }

    pub(super) fn requests(&self) -> usize {
        self.recorded.lock().unwrap().len()
    }
}

fn certificate() -> (RustlsConfig, String) {
    let dated = |names: Vec<String>| {
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        params
    };
    let mut authority = dated(Vec::new());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = dated(vec!["localhost".to_owned()]).signed_by(&key, &authority).unwrap();
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (RustlsConfig::from_config(Arc::new(tls)), authority.pem())
}
