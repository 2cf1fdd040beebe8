//! The settings of a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::cluster::{ClusterSettings, Security};
use crate::console::ConsoleSettings;
use crate::otlp::OtlpSettings;
use crate::process_identity::ProcessIdentity;
use xact_contracts::topology::{Groups, TopicRole, Topics};
use xact_contracts::url_guard::UrlPolicy;
use xact_contracts::url_paths::UrlPaths;
use xact_identity::{Identity, IdentityError};

/// All settings of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cluster of the events topic; `None`: the internal cluster has this topic too.
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
    /// `DELTA_RECONCILIATION_TABLE_PATH`.
    pub reconciliation_table: String,
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
    /// `TRACE_URL_TEMPLATE`.
    pub trace_url_template: Option<String>,
    /// Who may use the console.
    pub console: ConsoleSettings,
    /// Export to a collector; `None` if none is configured.
    pub otlp: Option<OtlpSettings>,
    /// Set in development only.
    pub dev: Option<DevSettings>,
    pub(crate) identity: ProcessIdentity,
}

/// Where a group without a committed position begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// With the oldest record.
    #[default]
    Earliest,
    /// With the next record.
    Latest,
}

/// Limits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Most records.
    pub records: usize,
    /// Longest time after its first record.
    pub wait: Duration,
}

/// Settings that only development mode allows.
#[derive(Debug, Clone, Default)]
pub struct DevSettings {
    /// Hosts that a sample server answers for, each with the server's `name:port` or `address:port`. They are not looked
    /// up in DNS.
    pub resolve: Vec<(String, String)>,
    /// Certificate authority of the sample server, PEM.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
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

    /// Returns the process's Azure identity. The first call chooses it, without a request; later calls return the same one.
    ///
    /// # Errors
    /// If settings of the identity are missing.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        self.identity.get()
    }

    /// Returns the scopes that the process requests tokens for: of each cluster with Entra authentication, and of OneLake.
    #[must_use]
    pub fn identity_scopes(&self) -> Vec<String> {
        let mut scopes = Vec::new();
        for cluster in self.events_cluster.iter().chain([&self.internal_cluster]) {
            if matches!(cluster.security, Security::Identity(_)) && !scopes.contains(&cluster.scope()) {
                scopes.push(cluster.scope());
            }
        }
        if self.uses_onelake() {
            scopes.push(xact_identity::STORAGE.to_owned());
        }
        scopes
    }

    pub(crate) fn uses_onelake(&self) -> bool {
        let places = [
            &self.onelake_base_path,
            &self.events_table,
            &self.attachments_table,
            &self.failed_table,
            &self.reconciliation_table,
        ];
        places.iter().any(|place| {
            place
                .get(..8)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("abfss://"))
        })
    }

    /// Returns the PEM file of the certificate authorities that servers are checked with; `None`: the system's.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.internal_cluster.ca_file.as_deref()
    }

    /// Returns the cluster of a role's topics.
    #[must_use]
    pub fn cluster_of(&self, role: TopicRole) -> &ClusterSettings {
        match role {
            TopicRole::Raw => self.cluster_of_events(),
            _ => &self.internal_cluster,
        }
    }

    /// Returns the cluster of the events topic.
    #[must_use]
    pub fn cluster_of_events(&self) -> &ClusterSettings {
        self.events_cluster.as_ref().unwrap_or(&self.internal_cluster)
    }
}
