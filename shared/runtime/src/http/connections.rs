//! The listener, with limits on the number of connections and on the time to send a request's headers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Open connections. Further ones wait in the system's queue until one is closed.
    pub(super) connections: usize,
    /// Time from the start of the connection, or from the last response, to the end of the next request's headers.
    pub(super) header_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            header_timeout: Duration::from_secs(5),
        }
    }
}

/// Most bytes of a request's headers. hyper's default is 400 KiB.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Delay after an error of the system, usually too many open files, which would recur at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then finishes the responses in progress. The caller limits how long.
pub(super) async fn serve(listener: TcpListener, app: Router, limits: Limits, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accept = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let serve = serve_connection(stream, app.clone(), limits, stop.clone());
                tokio::spawn(async move {
                    serve.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "an HTTP connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    // All slots are free when the last connection is closed.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

async fn serve_connection(stream: TcpStream, app: Router, limits: Limits, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        serving: tokio::task::JoinHandle<()>,
    }

    impl Server {
        async fn start(connections: usize, header_timeout: Duration) -> Self {
            let limits = Limits {
                connections,
                header_timeout,
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let app = Router::new().route("/", get(|| async { "ok" }));
            let stop = CancellationToken::new();
            let serving = tokio::spawn(serve(listener, app, limits, stop.clone()));
            Self { address, stop, serving }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn send(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = self.connect().await;
            // The server may have closed the connection.
            let _ = stream.write_all(bytes).await;
            stream
        }
    }

    /// Reads to the end of the connection; an error if it stays open.
    async fn rest(stream: &mut TcpStream) -> Result<String, tokio::time::error::Elapsed> {
        let mut bytes = Vec::new();
        // A reset ends the connection as well.
        let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn incomplete_headers_time_out() {
        let server = Server::start(10, Duration::from_millis(200)).await;
        let mut silent = server.connect().await;
        let mut idle = server.send(REQUEST).await;
        let mut endless = server.send(b"GET / HTTP/1.1\r\n").await;
        let drip = async {
            while endless.write_all(b"X: y\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, drip).await.expect("endless headers are cut off");
        assert_eq!(rest(&mut silent).await.unwrap(), "");
        assert!(rest(&mut idle).await.unwrap().ends_with("ok"));

        let header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(2 * MAX_HEADER_BYTES));
        let mut large = server.send(header.as_bytes()).await;
        let answer = rest(&mut large).await.unwrap();
        assert!(!answer.contains("ok"), "{answer}");
    }

    #[tokio::test]
    async fn further_connections_wait_until_one_is_closed() {
        let server = Server::start(2, Duration::from_millis(500)).await;
        let held = [server.connect().await, server.connect().await];
        let mut third = server.send(REQUEST).await;
        let early = timeout(Duration::from_millis(100), third.readable()).await;
        assert!(early.is_err(), "two are open");
        let answer = rest(&mut third).await.unwrap();
        assert!(answer.ends_with("ok"), "after they were closed: {answer}");
        drop(held);
    }

    #[tokio::test]
    async fn stopping_closes_idle_connections_and_ends() {
        let server = Server::start(10, Duration::from_secs(5)).await;
        let mut idle = server.send(REQUEST).await;
        idle.readable().await.unwrap();
        server.stop.cancel();
        assert!(rest(&mut idle).await.unwrap().ends_with("ok"));
        timeout(SOON, server.serving).await.expect("serving ends").unwrap();
    }
}
