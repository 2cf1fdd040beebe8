//! Configuration: read once, typed, validated with all errors at once, printed redacted.

mod clusters;
mod environment;
mod process_identity;
mod read;
mod reader;
mod variables;

pub use environment::{Environment, load_dotenv};
pub use variables::{VARIABLES, Variable, env_example};

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use process_identity::LazyIdentity;
use xact_contracts::topology::{Groups, TopicRole, Topics};
use xact_contracts::url_guard::UrlPolicy;
use xact_contracts::url_paths::UrlPaths;
use xact_identity::{Identity, IdentityError};

/// Everything that a process needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cluster of the events topic; `None`: it is on the internal cluster as well.
    pub events_cluster: Option<ClusterSettings>,
    /// Cluster of all other topics.
    pub internal_cluster: ClusterSettings,
    /// Topic names and retry delays.
    pub topics: Topics,
    /// Consumer groups.
    pub groups: Groups,
    /// Where a group without a committed position begins.
    pub offset_reset: OffsetReset,
    /// `MAX_RETRIES`.
    pub max_retries: u32,
    /// `ONELAKE_BASE_PATH`.
    pub onelake_base_path: String,
    /// `ENABLE_DELTA_WRITES`.
    pub delta_writes: bool,
    /// `DELTA_EVENTS_TABLE_PATH`.
    pub events_table: String,
    /// `DELTA_INVENTORY_TABLE_PATH`.
    pub attachments_table: String,
    /// `DELTA_FAILED_TABLE_PATH`.
    pub failed_table: String,
    /// Rows of `xact_events` per commit.
    pub event_batch: BatchSettings,
    /// Results per commit.
    pub result_batch: BatchSettings,
    /// `DOWNLOAD_CONCURRENCY`.
    pub download_concurrency: usize,
    /// `UPLOAD_CONCURRENCY`.
    pub upload_concurrency: usize,
    /// `DOWNLOAD_BATCH_SIZE`.
    pub download_window: usize,
    /// `UPLOAD_BATCH_SIZE`.
    pub upload_window: usize,
    /// `CACHE_DIR`.
    pub cache_dir: PathBuf,
    /// `CACHE_RETENTION_SECONDS`.
    pub cache_retention: Duration,
    /// `ALLOWED_ATTACHMENT_DOMAINS`.
    pub allowed_hosts: Vec<String>,
    /// `IGNORED_URL_PATHS`.
    pub ignored_url_paths: UrlPaths,
    /// `MAX_FILE_BYTES`.
    pub max_file_bytes: u64,
    /// `AUDIT_LOG_PATH`; `None`: audit lines go to the log.
    pub audit_log: Option<PathBuf>,
    /// `LOG_LEVEL`.
    pub log_level: String,
    /// `JSON_LOGS`.
    pub json_logs: bool,
    /// `METRICS_ADDRESS` and `METRICS_PORT`.
    pub metrics_address: SocketAddr,
    /// `INVOKE_TOKEN`.
    pub invoke_token: Option<SecretString>,
    /// `SHUTDOWN_GRACE_SECONDS`.
    pub shutdown_grace: Duration,
    /// `COMMIT_INTERVAL_MS`.
    pub commit_interval: Duration,
    /// `KAFKA_SESSION_TIMEOUT_MS`.
    pub session_timeout: Duration,
    /// `KAFKA_FETCH_WAIT_MS`.
    pub fetch_wait: Duration,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub otlp_endpoint: Option<String>,
    /// Set in development only.
    pub dev: Option<DevSettings>,
    /// See [`Settings::identity`].
    identity: LazyIdentity,
}

/// How to reach a Kafka cluster.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// How to speak to it.
    pub security: Security,
    /// PEM file of the certificate authorities that its certificate is checked with; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

impl ClusterSettings {
    /// Name of its first server: of Event Hubs, the namespace's host.
    #[must_use]
    pub fn host(&self) -> &str {
        let first = self.bootstrap_servers.split(',').next().unwrap_or_default().trim();
        first.rsplit_once(':').map_or(first, |(host, _port)| host)
    }

    /// Of the tokens that it is reached with, if it is Event Hubs.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("https://{}/.default", self.host())
    }
}

/// Transport security and credentials of a cluster.
#[derive(Debug, Clone)]
pub enum Security {
    /// No encryption, no credentials.
    Plaintext,
    /// TLS without credentials.
    Tls,
    /// Event Hubs: TLS, and the connection string as password.
    ConnectionString(SecretString),
    /// Event Hubs: TLS, and a token of the process's identity.
    Identity(Identity),
}

/// Where a group without a committed position begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// With the oldest record.
    Earliest,
    /// With the next record.
    Latest,
}

/// How many records one batch takes, and how long it waits for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// At most so many records.
    pub records: usize,
    /// At most so long after the first of them.
    pub wait: Duration,
}

/// What development alone allows.
#[derive(Debug, Clone, Default)]
pub struct DevSettings {
    /// Hosts that are answered by a sample server instead of the one that DNS names, and where it is: `name:port`, or
    /// `address:port`.
    pub resolve: Vec<(String, String)>,
    /// Certificate authority of the sample server, PEM.
    pub ca_file: Option<PathBuf>,
}

/// All that is wrong with the configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        for line in &self.0 {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl Settings {
    /// Reads and validates everything.
    ///
    /// # Errors
    /// All bad values at once, each with its variable, the value (redacted if secret) and what is allowed.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        read::settings(environment)
    }

    /// Returns the rules for attachment URLs, with the configured hosts.
    #[must_use]
    pub fn url_policy(&self) -> UrlPolicy {
        let policy = UrlPolicy::new(&self.allowed_hosts);
        if self.dev.is_some() {
            policy.in_dev_mode()
        } else {
            policy
        }
    }

    /// Who this process is to Azure: the same for all who ask. Chosen at the first call, without asking anybody.
    ///
    /// # Errors
    /// What is missing for an identity.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        self.identity.get()
    }

    /// The scopes that tokens are asked for: of each cluster that is reached with the identity, and of OneLake.
    #[must_use]
    pub fn identity_scopes(&self) -> Vec<String> {
        let mut scopes = Vec::new();
        for cluster in self.events_cluster.iter().chain([&self.internal_cluster]) {
            if matches!(cluster.security, Security::Identity(_)) && !scopes.contains(&cluster.scope()) {
                scopes.push(cluster.scope());
            }
        }
        if self.uses_one_lake() {
            scopes.push(xact_identity::STORAGE.to_owned());
        }
        scopes
    }

    fn uses_one_lake(&self) -> bool {
        let places = [
            &self.onelake_base_path,
            &self.events_table,
            &self.attachments_table,
            &self.failed_table,
        ];
        places.iter().any(|place| {
            place
                .get(..8)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("abfss://"))
        })
    }

    /// PEM file of the certificate authorities that servers are checked with; `None`: the system's.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.internal_cluster.ca_file.as_deref()
    }

    /// The cluster of a role's topics.
    #[must_use]
    pub fn cluster_of(&self, role: TopicRole) -> &ClusterSettings {
        match role {
            TopicRole::Raw => self.cluster_of_events(),
            _ => &self.internal_cluster,
        }
    }

    /// The cluster of the events topic.
    #[must_use]
    pub fn cluster_of_events(&self) -> &ClusterSettings {
        self.events_cluster.as_ref().unwrap_or(&self.internal_cluster)
    }
}
