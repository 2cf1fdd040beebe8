//! A listener, plain or with TLS, that serves until it is stopped or dropped.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::BoxError;
use axum::extract::Request;
use axum::response::Response;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Control, Handle};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::Service;

use crate::certificates::{Certificate, CertificateError};
use crate::connections::Limited;

/// Closes a connection that is idle between requests; longer than the 90 s of most clients, so that the client closes first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Time that [`Server::stop`] gives to requests in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address}: {source}; free the port or choose another (port 0 takes any free one)")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A running server. [`stop`](Self::stop) shuts it down gracefully; dropping it closes everything at once.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    control: Control,
    serving: JoinHandle<io::Result<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.shutdown();
    }
}

impl Server {
    /// Binds the address (port 0: any free port) and serves in the background of the current Tokio runtime, over HTTPS if
    /// there is a certificate. The server accepts connections once this returns.
    ///
    /// `service_of` makes the service for the address of a peer. An error of that service closes the connection without a
    /// response. At most `max_connections` are open; more wait in the kernel's queue.
    ///
    /// # Errors
    /// An address that cannot be bound, or an unusable certificate.
    pub async fn start<S>(
        address: SocketAddr,
        certificate: Option<&Certificate>,
        max_connections: usize,
        service_of: impl Fn(SocketAddr) -> S + Clone + Send + 'static,
    ) -> Result<Self, StartError>
    where
        S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>
            + Clone
            + Send
            + 'static,
    {
        let tls = certificate.map(Certificate::tls_config).transpose()?;
        let failed = |source| StartError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let control = Control::new();
        let mut server = axum_server::Server::from_listener(listener)
            .handle(Handle::with_control(control.clone()))
            .http1_only()
            .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "emulator: connection not accepted"))
            .acceptor(NoDelayAcceptor::new());
        server.http_builder().http1().header_read_timeout(IDLE_TIMEOUT);
        let connections = Limited::new(service_of, max_connections);
        let (scheme, serving) = match tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(NoDelayAcceptor::new());
                ("https", tokio::spawn(server.acceptor(acceptor).serve(connections)))
            }
            None => ("http", tokio::spawn(server.serve(connections))),
        };
        Ok(Self {
            address,
            scheme,
            control,
            serving,
        })
    }

    /// Returns the address on which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns `scheme://address`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Stops accepting, lets requests in flight finish for a second, then closes all connections.
    pub async fn stop(mut self) {
        self.control.graceful_shutdown(None);
        // Serving returns an error only if the address cannot be bound, and it is bound.
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.serving).await.is_err() {
            self.control.shutdown();
            let _ = (&mut self.serving).await;
        }
    }
}
