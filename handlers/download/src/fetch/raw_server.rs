//! A server for tests that writes raw bytes, so that it can break every rule of HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// A plain stream or one within TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A running server. It stops with the test's runtime.
pub(super) struct RawServer {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
}

impl RawServer {
    /// Starts a server that runs `answer` on each connection, with the number of connections before it.
    pub(super) async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(usize, Connection) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::start_with(|stream| async { Some(Box::new(stream) as Box<dyn Stream>) }, answer).await
    }

    /// Starts the same with TLS.
    pub(super) async fn start_tls<F, A>(tls: rustls::ServerConfig, answer: F) -> Self
    where
        F: Fn(usize, Connection) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let accept = move |stream| {
            let acceptor = acceptor.clone();
            async move { Some(Box::new(acceptor.accept(stream).await.ok()?) as Box<dyn Stream>) }
        };
        Self::start_with(accept, answer).await
    }

    async fn start_with<W, S, F, A>(wrap: W, answer: F) -> Self
    where
        W: Fn(tokio::net::TcpStream) -> S + Send + 'static,
        S: Future<Output = Option<Box<dyn Stream>>> + Send + 'static,
        F: Fn(usize, Connection) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(answer);
        tokio::spawn({
            let connections = Arc::clone(&connections);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let number = connections.fetch_add(1, Ordering::Relaxed);
                    let (stream, answer) = (wrap(stream), Arc::clone(&answer));
                    tokio::spawn(async move {
                        if let Some(stream) = stream.await {
                            answer(number, Connection { stream }).await;
                        }
                    });
                }
            }
        });
        Self { port, connections }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
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
        String::from_utf8_lossy(&request).into_owned()
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
