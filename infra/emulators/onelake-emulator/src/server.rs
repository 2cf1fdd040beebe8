//! The running emulator: one listener, plain or with TLS, over one folder.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Control, Handle, Server};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::access::{AcceptedToken, Access, Account, Tokens};
use crate::admin;
use crate::catalog::{Catalog, Item};
use crate::connections::Connections;
use crate::counters::{Area, Counters, VerbCount};
use crate::faults::{Rule, Rules};
use crate::latency::Latency;
use crate::service::Shared;
use crate::storage::{FolderError, Storage, StoreError};
use crate::verbs::Verb;
use xact_contracts::onelake_billing::Bill;

/// Open connections; more wait in the kernel's queue. Each may hold a file or two: below the usual 1,024 descriptors.
const MAX_CONNECTIONS: usize = 300;

/// How long a connection may idle between requests: longer than the 90 s that clients usually keep one, so that the client closes first.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// What [`OneLake::stop`] gives requests under way.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A certificate and its key, both as PEM.
#[derive(Clone)]
pub struct Tls {
    /// The server's certificate, and those between it and its authority.
    pub certificates: Vec<u8>,
    /// The key of the first of them.
    pub key: Vec<u8>,
}

/// How the emulator is to be.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where the data lies; made if it is missing.
    pub folder: PathBuf,
    /// HTTPS instead of HTTP.
    pub tls: Option<Tls>,
    /// Items to be there from the beginning. What lies in the folder already is there as well.
    pub items: Vec<Item>,
    /// Bearer tokens that are taken.
    pub tokens: Vec<AcceptedToken>,
    /// Takes any unexpired JWT for `https://storage.azure.com` as well, whoever signed it.
    pub any_jwt: bool,
    /// An account for shared keys, as `name=key in base64`; `None`: the well-known `devstoreaccount1`.
    pub account: Option<String>,
    /// Opens `/__admin` to other machines.
    pub admin_token: Option<String>,
    /// Lets clients create and delete workspaces, as a storage account would and OneLake does not.
    pub workspaces_by_api: bool,
    /// Refuses names of workspaces and items, as a tenant without support for them.
    pub guids_only: bool,
    /// Added to every request before its answer, as the distance to a data centre would; whole milliseconds.
    pub latency: Duration,
}

impl Options {
    /// On a free port of this machine, over `folder`, with nothing in it and no token.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder: folder.into(),
            tls: None,
            items: Vec::new(),
            tokens: Vec::new(),
            any_jwt: false,
            account: None,
            admin_token: None,
            workspaces_by_api: false,
            guids_only: false,
            latency: Duration::ZERO,
        }
    }
}

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; free the port or choose another (port 0 takes any free one)")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder cannot be used.
    #[error("cannot use the folder {folder}: {reason}")]
    Folder {
        /// The folder asked for.
        folder: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The certificate or its key.
    #[error("cannot use the certificate: {0}; give the certificate with its chain, and its key in PKCS#8, both as PEM")]
    Tls(String),
    /// The account.
    #[error("the account is not NAME=KEY: a name of 3 to 24 lower-case letters and digits, and a key in base64")]
    Account,
}

/// A running emulator. [`stop`](Self::stop) ends it in good order; dropping it ends it at once.
pub struct OneLake {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    stopper: Stopper,
    serving: JoinHandle<io::Result<()>>,
}

/// Ends the server when it goes.
struct Stopper(Control);

impl Drop for Stopper {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

impl OneLake {
    /// Opens the folder, binds the address and serves in the background of the current Tokio runtime. It answers once
    /// this returns.
    ///
    /// # Errors
    /// A folder that cannot be used, an address that cannot be bound, an unusable certificate or account.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let account = match &options.account {
            Some(text) => Account::parse(text).ok_or(StartError::Account)?,
            None => Account::development(),
        };
        let tls = options.tls.as_ref().map(tls_config).transpose()?;
        let (storage, catalog) = open(&options)?;
        let failed = |source| StartError::Bind {
            address: options.bind,
            source,
        };
        let listener = TcpListener::bind(options.bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let shared = Arc::new(Shared {
            storage: Arc::new(storage),
            catalog,
            access: Access::new(account, Tokens::new(options.tokens, options.any_jwt)),
            rules: Rules::default(),
            counters: Counters::default(),
            admin_token: options.admin_token,
            workspaces_by_api: options.workspaces_by_api,
            latency: Latency::new(options.latency),
        });
        let connections = Connections::new(Arc::clone(&shared), admin::router(&shared), MAX_CONNECTIONS);
        let control = Control::new();
        let server = configured(listener, &control);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let serving = match tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(NoDelayAcceptor::new());
                tokio::spawn(server.acceptor(acceptor).serve(connections))
            }
            None => tokio::spawn(server.acceptor(NoDelayAcceptor::new()).serve(connections)),
        };
        Ok(Self {
            address,
            scheme,
            shared,
            stopper: Stopper(control),
            serving,
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for clients, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Makes requests fail; the number takes the rule back.
    pub fn add_fault(&self, rule: Rule) -> u64 {
        self.shared.rules.add(rule)
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.shared.rules.remove(None);
    }

    /// Takes a bearer token from now on, or changes its principal and expiry.
    pub fn accept_token(&self, token: AcceptedToken) {
        self.shared.access.tokens.accept(token);
    }

    /// Refuses a bearer token from now on, unless it is taken as any JWT is.
    pub fn refuse_token(&self, token: &str) {
        self.shared.access.tokens.forget(Some(token));
    }

    /// What happened to the requests of a verb.
    #[must_use]
    pub fn requests(&self, verb: Verb) -> VerbCount {
        self.shared.counters.of(verb)
    }

    /// What happened to all requests.
    #[must_use]
    pub fn all_requests(&self) -> BTreeMap<Verb, VerbCount> {
        self.shared.counters.all()
    }

    /// Returns what OneLake would bill for all requests.
    #[must_use]
    pub fn bill(&self) -> Bill {
        self.shared.counters.bill()
    }

    /// Returns what OneLake would bill for the requests about one area.
    #[must_use]
    pub fn bill_of(&self, area: Area) -> Bill {
        self.shared.counters.bill_of(area)
    }

    /// Changes what is added to every request from now on; whole milliseconds.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency.set(latency);
    }

    /// Counts from zero again, requests and bills.
    pub fn clear_requests(&self) {
        self.shared.counters.clear();
    }

    /// Stops accepting, lets requests under way finish for a second, then closes everything.
    pub async fn stop(self) {
        let Self {
            stopper: Stopper(ref control),
            mut serving,
            ..
        } = self;
        control.graceful_shutdown(None);
        // The server ends with an error only if it could not bind, and it was bound before.
        if tokio::time::timeout(STOP_GRACE, &mut serving).await.is_err() {
            control.shutdown();
            let _ = serving.await;
        }
    }
}

fn open(options: &Options) -> Result<(Storage, Catalog), StartError> {
    let failed = |reason: String| StartError::Folder {
        folder: options.folder.display().to_string(),
        reason,
    };
    let storage = Storage::open(&options.folder).map_err(|error: FolderError| failed(error.to_string()))?;
    let read = || -> Result<Catalog, StoreError> {
        let catalog = Catalog::read(&storage, options.guids_only)?;
        for item in &options.items {
            catalog.add(&storage, item)?;
        }
        Ok(catalog)
    };
    let catalog = read().map_err(|error| failed(error.to_string()))?;
    Ok((storage, catalog))
}

fn tls_config(tls: &Tls) -> Result<Arc<ServerConfig>, StartError> {
    let unusable = |error: &dyn std::fmt::Display| StartError::Tls(error.to_string());
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&tls.certificates).collect();
    let certificates = certificates.map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key).map_err(|error| unusable(&error))?;
    // The provider is named here: another crate in the process may have installed another one, or none.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn configured(listener: TcpListener, control: &Control) -> Server<SocketAddr> {
    let mut server = Server::from_listener(listener)
        .handle(Handle::with_control(control.clone()))
        .http1_only()
        .accept_error_handler(
            |peer, error| tracing::debug!(?peer, %error, "OneLake emulator: connection not accepted"),
        );
    server.http_builder().http1().header_read_timeout(IDLE_LIMIT);
    server
}
