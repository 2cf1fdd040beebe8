//! The running emulator: one listener, plain or with TLS, over one folder.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;

use crate::access::{AcceptedToken, Access, Account, Tokens};
use crate::admin;
use crate::catalog::{Catalog, Item};
use crate::counters::{Area, Counters, VerbCount};
use crate::latency::Latency;
use crate::rules::{Rule, Rules};
use crate::service::serve;
use crate::state::EmulatorState;
use crate::storage::{FolderError, Storage, StoreError};
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
    /// The account for shared keys, as `name=key in base64`; `None`: the well-known `devstoreaccount1`.
    pub account: Option<String>,
    /// Opens `/__admin` to other machines that send it as a bearer token.
    pub admin_token: Option<String>,
    /// Lets clients create and delete workspaces, as a storage account does and OneLake does not.
    pub workspaces_by_api: bool,
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
    /// The account.
    #[error("the account is not NAME=KEY: a name of 3 to 24 lower-case letters and digits, and a key in base64")]
    Account,
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
    /// A folder that cannot be used, an address that cannot be bound, an unusable certificate or account.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let account = match &options.account {
            Some(text) => Account::parse(text).ok_or(StartError::Account)?,
            None => Account::development(),
        };
        let (storage, catalog) = open(&options)?;
        let state = Arc::new(EmulatorState {
            storage: Arc::new(storage),
            catalog,
            access: Access::new(account, Tokens::new(options.tokens, options.any_jwt)),
            rules: Rules::default(),
            counters: Counters::default(),
            admin_token: options.admin_token,
            workspaces_by_api: options.workspaces_by_api,
            latency: Latency::new(options.latency),
        });
        let admin = admin::router(&state);
        let service_of = {
            let state = Arc::clone(&state);
            move |peer| {
                let (state, admin) = (Arc::clone(&state), admin.clone());
                tower::service_fn(move |request: Request| {
                    let (state, admin) = (Arc::clone(&state), admin.clone());
                    async move { serve(&state, &admin, peer, request).await }
                })
            }
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

    /// Accepts a bearer token from now on, or changes its principal and expiry.
    pub fn accept_token(&self, token: AcceptedToken) {
        self.state.access.tokens.accept(token);
    }

    /// Refuses a bearer token from now on, unless any JWT is accepted.
    pub fn refuse_token(&self, token: &str) {
        self.state.access.tokens.forget(Some(token));
    }

    /// Returns the counts of a verb.
    #[must_use]
    pub fn requests(&self, verb: Verb) -> VerbCount {
        self.state.counters.of(verb)
    }

    /// Returns the counts of all verbs.
    #[must_use]
    pub fn all_requests(&self) -> BTreeMap<Verb, VerbCount> {
        self.state.counters.all()
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

    /// Changes the delay of every answer from now on; whole milliseconds.
    pub fn set_latency(&self, latency: Duration) {
        self.state.latency.set(latency);
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
