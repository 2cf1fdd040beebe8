//! A server for tests that writes raw bytes, so that it can break every rule of HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A plain stream or one within TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A running server. It stops with the test's runtime.
pub(super) struct RawServer {
    scheme: &'static str,
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl RawServer {
    /// Starts a server that runs `answer` on each connection, with the number of connections before it.
    pub(super) async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(usize, Connection) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::start_with(None, answer).await
    }

    /// Starts the same, with TLS if it is configured.
    pub(super) async fn start_with<F, A>(tls: Option<rustls::ServerConfig>, answer: F) -> Self
    where
        F: Fn(usize, Connection) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            scheme: if tls.is_some() { "https" } else { "http" },
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::Relaxed);
                let (acceptor, answer, requests) = (acceptor.clone(), Arc::clone(&answer), Arc::clone(&requests));
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match acceptor {
                        None => Box::new(stream),
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    answer(number, Connection { stream, requests }).await;
                });
            }
        });
        server
    }

    /// Returns the URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}/{path}", self.scheme, self.port)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Returns the requests that were read.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

/// Returns the path in a request.
pub(super) fn path_of(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Connection {
    /// Reads one request; empty when the client has closed the connection.
    pub(super) async fn request(&mut self) -> String {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => request.extend_from_slice(&buffer[..length]),
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        self.requests.lock().push(request.clone());
        request
    }

    /// Reads one byte, if the client sends one.
    pub(super) async fn byte(&mut self) {
        let _ = self.stream.read(&mut [0; 1]).await;
    }

    /// Sends bytes; `false` when the client has closed the connection.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Sends these bytes repeatedly until the client closes the connection.
    pub(super) async fn send_forever(&mut self, bytes: &[u8]) {
        while self.send(bytes).await {}
    }

    /// Keeps the connection open until the client closes it.
    pub(super) async fn hold(&mut self) {
        let mut buffer = [0; 4096];
        while matches!(self.stream.read(&mut buffer).await, Ok(1..)) {}
    }
}
