//! The running emulator: one listener, plain or with TLS, over one folder.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;

use crate::access::{AcceptedToken, Access, Tokens};
use crate::admin;
use crate::catalog::{Catalog, Item};
use crate::counters::{Area, Counters, VerbCount};
use crate::rules::{Rule, Rules};
use crate::service::serve;
use crate::state::EmulatorState;
use crate::storage::{Storage, StoreError};
use crate::verbs::Verb;
use emulator_kit::Server;
use emulator_kit::certificates::Certificate;
use xact_contracts::onelake_billing::Bill;

/// Limit on open connections. Each may hold a file or two: below the usual 1,024 descriptors.
const MAX_CONNECTIONS: usize = 300;

/// Options of an emulator.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes any free port.
    pub bind: SocketAddr,
    /// The folder of the data; created if it is missing.
    pub folder: PathBuf,
    /// Serves HTTPS instead of HTTP.
    pub tls: Option<Certificate>,
    /// Items to create at the start, in addition to those in the folder.
    pub items: Vec<Item>,
    /// Bearer tokens to accept.
    pub tokens: Vec<AcceptedToken>,
    /// Accepts any unexpired JWT for `https://storage.azure.com` as well, regardless of its signature.
    pub any_jwt: bool,
    /// Opens `/__admin` to other machines that send it as a bearer token.
    pub admin_token: Option<String>,
    /// Refuses names of workspaces and items, as some tenants do.
    pub guids_only: bool,
    /// Delay of every answer, as the distance to a data centre adds it; whole milliseconds.
    pub latency: Duration,
}

impl Options {
    /// A free port of this machine, `folder`, no items and no tokens.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder: folder.into(),
            tls: None,
            items: Vec::new(),
            tokens: Vec::new(),
            any_jwt: false,
            admin_token: None,
            guids_only: false,
            latency: Duration::ZERO,
        }
    }
}

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address or the certificate cannot be used.
    #[error(transparent)]
    Server(#[from] emulator_kit::StartError),
    /// The folder cannot be used.
    #[error("cannot use the folder {folder}: {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// A running emulator. [`stop`](Self::stop) shuts it down gracefully; dropping it closes everything at once.
pub struct OneLake {
    server: Server,
    state: Arc<EmulatorState>,
}

impl OneLake {
    /// Opens the folder, binds the address and serves in the background of the current Tokio runtime. The emulator accepts
    /// connections once this returns.
    ///
    /// # Errors
    /// A folder that cannot be used, an address that cannot be bound, an unusable certificate.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (storage, catalog) = open(&options)?;
        let state = Arc::new(EmulatorState {
            storage: Arc::new(storage),
            catalog,
            access: Access::new(Tokens::new(options.tokens, options.any_jwt)),
            rules: Rules::default(),
            counters: Counters::default(),
            connections: AtomicU64::new(0),
            admin_token: options.admin_token,
            latency_ms: AtomicU64::new(u64::try_from(options.latency.as_millis()).unwrap_or(u64::MAX)),
        });
        let (shared, admin) = (Arc::clone(&state), admin::router(&state));
        let service_of = move |peer| {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            let (state, admin) = (Arc::clone(&shared), admin.clone());
            tower::service_fn(move |request: Request| {
                let (state, admin) = (Arc::clone(&state), admin.clone());
                async move { serve(&state, &admin, peer, request).await }
            })
        };
        let server = Server::start(options.bind, options.tls.as_ref(), MAX_CONNECTIONS, service_of).await?;
        Ok(Self { server, state })
    }

    pub(crate) fn state(&self) -> &Arc<EmulatorState> {
        &self.state
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the endpoint for clients, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Makes requests fail, and returns the number of the rule.
    pub fn add_fault(&self, rule: Rule) -> u64 {
        self.state.rules.add(rule)
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.state.rules.remove(None);
    }

    /// Returns the counts of a verb.
    #[must_use]
    pub fn requests(&self, verb: Verb) -> VerbCount {
        self.state.counters.of(verb)
    }

    /// Returns the number of connections that were accepted since the start.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Returns what OneLake would bill for all requests.
    #[must_use]
    pub fn bill(&self) -> Bill {
        self.state.counters.bill()
    }

    /// Returns what OneLake would bill for the requests about one area.
    #[must_use]
    pub fn bill_of(&self, area: Area) -> Bill {
        self.state.counters.bill_of(area)
    }

    /// Resets the counts and the bills to zero.
    pub fn clear_requests(&self) {
        self.state.counters.clear();
    }

    /// Stops accepting, lets requests in flight finish for a second, then closes everything.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn open(options: &Options) -> Result<(Storage, Catalog), StartError> {
    let failed = |reason: &dyn Display| StartError::Folder {
        folder: options.folder.display().to_string(),
        reason: reason.to_string(),
    };
    let storage = Storage::open(&options.folder).map_err(|error| failed(&error))?;
    let read = || -> Result<Catalog, StoreError> {
        let catalog = Catalog::read(&storage, options.guids_only)?;
        for item in &options.items {
            catalog.add(&storage, item)?;
        }
        Ok(catalog)
    };
    let catalog = read().map_err(|error| failed(&error))?;
    Ok((storage, catalog))
}
