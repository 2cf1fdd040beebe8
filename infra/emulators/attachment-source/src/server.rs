//! The running server: two listeners, one behaviour, one throw-away certificate authority.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Control, Handle, Server};
use futures::future;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::answers;
use crate::certificates::{Certificate, Identity};
use crate::connections::Limited;
use crate::seen_paths::SeenPaths;

/// How many paths with a fault that passes are remembered; beyond that the oldest would fail once more.
pub const REMEMBERED_PATHS: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");

/// Open connections per listener; more wait in the kernel's queue. Two listeners stay below the usual 1,024 descriptors.
const MAX_CONNECTIONS: usize = 480;

/// How long a connection may idle between requests: longer than the 90 s that clients usually keep one, so that the client closes first.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// What [`AttachmentSource::stop`] gives answers under way; `slow` and `endless` ones are cut off then.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Where to listen, and which names the certificate covers.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address for plain HTTP; port 0 takes a free one.
    pub http_bind: SocketAddr,
    /// The address for HTTPS; port 0 takes a free one.
    pub https_bind: SocketAddr,
    /// Host names (or addresses) that the certificate covers besides `localhost`, `127.0.0.1` and `::1`.
    pub https_hosts: Vec<String>,
    /// A certificate of somebody else's authority instead of one of a throw-away authority.
    pub certificate: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http_bind: free_port,
            https_bind: free_port,
            https_hosts: Vec::new(),
            certificate: None,
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not ours.
    #[error(
        "cannot listen on {address} for {scheme}: {source}; free the port or choose another (port 0 takes any free one)"
    )]
    Bind {
        /// `http` or `https`.
        scheme: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A host name that no certificate can carry.
    #[error(
        "a host name in `{hosts}` cannot go into a certificate: {source}; give plain ASCII names (punycode) or addresses"
    )]
    HostName {
        /// The names asked for.
        hosts: String,
        /// The certificate library's reason.
        source: rcgen::Error,
    },
    /// The certificate could not be made.
    #[error(
        "cannot make the throw-away certificate: {0}; this is a fault of the build, not of the configuration: report it"
    )]
    Certificate(rcgen::Error),
    /// The TLS library refused the certificate.
    #[error(
        "cannot use the throw-away certificate: {0}; this is a fault of the build, not of the configuration: report it"
    )]
    Tls(rustls::Error),
    /// The certificate that was given, or its key.
    #[error("cannot use the certificate: {0}; give the certificate with its chain, and its key in PKCS#8, both as PEM")]
    Given(String),
}

/// What all answers share.
pub(crate) struct Shared {
    pub(crate) requests: AtomicU64,
    pub(crate) outage: AtomicBool,
    pub(crate) seen: SeenPaths,
}

/// A running server. [`stop`](Self::stop) ends it in good order; dropping it ends it at once.
pub struct AttachmentSource {
    http_addr: SocketAddr,
    https_addr: SocketAddr,
    ca_pem: String,
    shared: Arc<Shared>,
    stopper: Stopper,
    serving: [JoinHandle<io::Result<()>>; 2],
}

/// Ends both servers when it goes.
struct Stopper(Control);

impl Drop for Stopper {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

impl AttachmentSource {
    /// Makes the certificate, binds both addresses and serves in the background of the current Tokio runtime.
    /// Both addresses answer once this returns.
    ///
    /// # Errors
    /// An address that cannot be bound, or a host name that no certificate can carry.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            http_bind,
            https_bind,
            https_hosts,
            certificate,
        } = options;
        let identity = match &certificate {
            Some(certificate) => Identity::given(certificate)?,
            None => Identity::new(&https_hosts)?,
        };
        let (http, http_addr) = bind("http", http_bind).await?;
        let (https, https_addr) = bind("https", https_bind).await?;

        let shared = Arc::new(Shared {
            requests: AtomicU64::new(0),
            outage: AtomicBool::new(false),
            seen: SeenPaths::new(REMEMBERED_PATHS),
        });
        let app = Router::new().fallback(answers::answer).with_state(Arc::clone(&shared));
        let control = Control::new();
        let tls = RustlsAcceptor::new(RustlsConfig::from_config(identity.tls)).acceptor(NoDelayAcceptor::new());
        let http = configured(http, &control).acceptor(NoDelayAcceptor::new());
        let https = configured(https, &control).acceptor(tls);
        let serving = [
            tokio::spawn(http.serve(Limited::new(app.clone(), MAX_CONNECTIONS))),
            tokio::spawn(https.serve(Limited::new(app, MAX_CONNECTIONS))),
        ];
        Ok(Self {
            http_addr,
            https_addr,
            ca_pem: identity.ca_pem,
            shared,
            stopper: Stopper(control),
            serving,
        })
    }

    /// Where plain HTTP is served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where HTTPS is served.
    #[must_use]
    pub fn https_addr(&self) -> SocketAddr {
        self.https_addr
    }

    /// The certificate authority for HTTPS clients to trust, as PEM; empty if the certificate was given.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Requests answered so far, whatever the answer.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// While on, every answer is 503. What is under way goes on, and the `…-once` faults stay unspent.
    pub fn set_outage(&self, on: bool) {
        self.shared.outage.store(on, Ordering::Relaxed);
    }

    /// Stops accepting, lets answers under way finish for a second, then closes everything.
    pub async fn stop(self) {
        let Self {
            stopper: Stopper(ref control),
            serving,
            ..
        } = self;
        control.graceful_shutdown(None);
        // A server ends with an error only if it could not bind, and it was bound before.
        let mut drained = future::join_all(serving);
        if tokio::time::timeout(STOP_GRACE, &mut drained).await.is_err() {
            control.shutdown();
            drained.await;
        }
    }
}

async fn bind(scheme: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind {
        scheme,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What both listeners have in common.
fn configured(listener: TcpListener, control: &Control) -> Server<SocketAddr> {
    let mut server = Server::from_listener(listener)
        .handle(Handle::with_control(control.clone()))
        .http1_only()
        .accept_error_handler(
            |peer, error| tracing::debug!(?peer, %error, "attachment source: connection not accepted"),
        );
    server.http_builder().http1().header_read_timeout(IDLE_LIMIT);
    server
}
