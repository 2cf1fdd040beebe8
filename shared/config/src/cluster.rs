//! How a Kafka cluster is reached.

use std::path::PathBuf;

use secrecy::SecretString;

use xact_identity::Identity;

/// How to reach a Kafka cluster.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// Transport security and credentials.
    pub security: Security,
    /// PEM file of the certificate authorities that its certificate is checked with; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

impl ClusterSettings {
    /// Returns the host name of the first server. For Event Hubs this is the host of the namespace.
    #[must_use]
    pub fn host(&self) -> &str {
        let first = self.bootstrap_servers.split(',').next().unwrap_or_default().trim();
        first.rsplit_once(':').map_or(first, |(host, _port)| host)
    }

    /// Returns the scope of the tokens for Event Hubs.
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

/// `LOCAL_KAFKA_SECURITY_PROTOCOL`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Plaintext,
    Ssl,
    SaslSsl,
}
