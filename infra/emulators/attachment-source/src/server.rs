//! The running server: two listeners with the same answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;

use crate::answers::{SourceState, answer};
use crate::seen_paths::SeenPaths;
use emulator_kit::certificates::{Certificate, ThrowAway};
use emulator_kit::{Server, StartError};

/// Number of paths for which the server counts how often their fault has happened; the oldest is evicted first.
pub const REMEMBERED_PATHS: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");

/// Limit on open connections of a listener. Two listeners stay below the usual 1,024 descriptors.
const MAX_CONNECTIONS: usize = 480;

/// Names that a throw-away certificate always covers.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where to listen, and which names the certificate covers.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address for plain HTTP; port 0 takes any free port.
    pub http_bind: SocketAddr,
    /// The address for HTTPS; port 0 takes any free port.
    pub https_bind: SocketAddr,
    /// Host names (or addresses) that a throw-away certificate covers in addition to `localhost`, `127.0.0.1` and `::1`.
    pub https_hosts: Vec<String>,
    /// A certificate to use instead of a throw-away one.
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

/// A running server. [`stop`](Self::stop) shuts it down gracefully; dropping it closes everything at once.
pub struct AttachmentSource {
    http: Server,
    https: Server,
    ca_pem: String,
    state: Arc<SourceState>,
}

impl AttachmentSource {
    /// Makes the certificate, binds both addresses and serves in the background of the current Tokio runtime.
    /// Both listeners accept connections once this returns.
    ///
    /// # Errors
    /// An address that cannot be bound, or a certificate that cannot be made or used.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (certificate, ca_pem) = match options.certificate {
            Some(certificate) => (certificate, String::new()),
            None => {
                let mut hosts = options.https_hosts;
                hosts.extend(LOCAL_NAMES.map(str::to_owned));
                let made = ThrowAway::new(&hosts)?;
                (made.certificate, made.authority)
            }
        };
        let state = Arc::new(SourceState {
            requests: AtomicU64::new(0),
            seen: SeenPaths::new(REMEMBERED_PATHS),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let service_of = move |_| app.clone();
        Ok(Self {
            http: Server::start(options.http_bind, None, MAX_CONNECTIONS, service_of.clone()).await?,
            https: Server::start(options.https_bind, Some(&certificate), MAX_CONNECTIONS, service_of).await?,
            ca_pem,
            state,
        })
    }

    /// Returns the address for plain HTTP.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http.address()
    }

    /// Returns the address for HTTPS.
    #[must_use]
    pub fn https_addr(&self) -> SocketAddr {
        self.https.address()
    }

    /// Returns the certificate authority for HTTPS clients to trust, in PEM; empty if the certificate was given.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the number of requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Stops accepting, lets requests in flight finish for a second, then closes everything; `slow` and `endless` answers
    /// are cut off then.
    pub async fn stop(self) {
        tokio::join!(self.http.stop(), self.https.stop());
    }
}
