//! Why a cluster cannot be used, and what to do about it: one text per cause.
//!
//! librdkafka reports each failed attempt in its own words. The operator needs the cause, once, and the next step.

use std::fmt;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use xact_config::{ClusterSettings, Security};
use xact_contracts::redaction::redact_text;

/// The cause of a [`ConnectionError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionErrorKind {
    /// The connection string does not belong to the namespace, or its key is no longer valid.
    ConnectionStringRejected,
    /// The broker rejects the identity's token.
    TokenRejected,
    /// No token could be acquired.
    TokenUnavailable,
    /// The broker requires credentials, and none are configured.
    CredentialsRequired,
    /// DNS does not resolve the broker's name.
    UnknownHost,
    /// The broker's certificate is not signed by a trusted authority.
    UntrustedCertificate,
    /// The other end does not use TLS, or not a compatible version.
    TlsFailed,
    /// No broker accepts a connection.
    Unreachable,
    /// The broker is connected and does not respond.
    NotResponding,
}

/// The reason that a cluster cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionError {
    /// The cause.
    pub kind: ConnectionErrorKind,
    bootstrap: String,
    namespace: String,
    detail: String,
}

impl std::error::Error for ConnectionError {}

impl ConnectionError {
    /// Classifies an error of a client of `cluster`; `None` if it does not concern the connection.
    pub fn classify(error: &KafkaError, reason: &str, cluster: &ClusterSettings) -> Option<Self> {
        use ConnectionErrorKind as Kind;
        let kind = match error.rdkafka_error_code()? {
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => match &cluster.security {
                // Two texts of librdkafka: its token refresh failed, and it tried to connect without a token.
                Security::Identity(_)
                    if reason.contains("acquire SASL OAUTHBEARER token") || reason.contains("no token available") =>
                {
                    Kind::TokenUnavailable
                }
                Security::Identity(_) => Kind::TokenRejected,
                Security::ConnectionString(_) => Kind::ConnectionStringRejected,
                Security::Plaintext | Security::Tls => Kind::CredentialsRequired,
            },
            RDKafkaErrorCode::Resolve => Kind::UnknownHost,
            RDKafkaErrorCode::SSL if reason.contains("certificate") => Kind::UntrustedCertificate,
            RDKafkaErrorCode::SSL => Kind::TlsFailed,
            RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure => Kind::Unreachable,
            _ => return None,
        };
        // librdkafka puts its own prefix before the text of our token error.
        let detail = match (kind, reason.split_once("OAUTHBEARER token: ")) {
            (Kind::TokenUnavailable, Some((_, why))) => why,
            _ => reason,
        };
        Some(Self::new(kind, cluster, detail))
    }

    /// Returns the error for a broker that has not responded for this long.
    pub(crate) fn not_responding(silence: Duration, cluster: &ClusterSettings) -> Self {
        let detail = format!("for {} s", silence.as_secs());
        Self::new(ConnectionErrorKind::NotResponding, cluster, &detail)
    }

    fn new(kind: ConnectionErrorKind, cluster: &ClusterSettings, detail: &str) -> Self {
        Self {
            kind,
            bootstrap: cluster.bootstrap_servers.clone(),
            namespace: namespace(cluster).to_owned(),
            detail: redact_text(detail),
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ConnectionErrorKind as Kind;
        let Self {
            bootstrap,
            namespace,
            detail,
            ..
        } = self;
        write!(f, "{bootstrap}: ")?;
        match self.kind {
            Kind::ConnectionStringRejected => write!(
                f,
                "the credentials are refused: the connection string does not belong to namespace {namespace}, or its key was \
                 regenerated. Copy it again: az eventhubs namespace authorization-rule keys list --resource-group \
                 <resource group> --namespace-name {namespace} --name <policy> --query primaryConnectionString --output tsv"
            )?,
            Kind::TokenRejected => write!(
                f,
                "the token of the Azure identity is refused: it has expired by the broker's clock, or was issued for another \
                 host. Check this machine's clock, that the bootstrap server is the namespace's own name, and that the \
                 identity belongs to the namespace's tenant. A new token is requested"
            )?,
            Kind::TokenUnavailable => write!(f, "there is no token of the Azure identity")?,
            Kind::CredentialsRequired => write!(
                f,
                "the broker requires credentials: set LOCAL_KAFKA_SECURITY_PROTOCOL=SASL_SSL, and \
                 LOCAL_KAFKA_CONNECTION_STRING unless the Azure identity is to be used"
            )?,
            Kind::UnknownHost => write!(
                f,
                "the broker's name is unknown: check the bootstrap servers (Event Hubs: \
                 <namespace>.servicebus.windows.net:9093) and this machine's DNS; behind a private endpoint the DNS zone is \
                 privatelink.servicebus.windows.net"
            )?,
            Kind::UntrustedCertificate => write!(
                f,
                "the broker's certificate is not trusted: install the certificate authorities (Debian: ca-certificates), or \
                 set SSL_CERT_FILE to a file with yours; also check that no proxy on the way intercepts TLS"
            )?,
            Kind::TlsFailed => write!(
                f,
                "TLS fails: check that the port is the TLS one (Event Hubs: 9093), and the security protocol"
            )?,
            Kind::Unreachable => write!(
                f,
                "no broker answers: check that it runs, the bootstrap servers and the network"
            )?,
            Kind::NotResponding => write!(
                f,
                "the broker is connected but has not answered: check whether it hangs, and the network"
            )?,
        }
        write!(f, " ({detail})")
    }
}

/// Returns the name of the Event Hubs namespace, as `az` expects it, or another broker's host.
pub(crate) fn namespace(cluster: &ClusterSettings) -> &str {
    let host = cluster.host();
    match host.split_once('.') {
        Some((name, domain)) if domain.starts_with("servicebus.") => name,
        _ => host,
    }
}

/// Whether the broker authenticated the client and denied it access.
pub const fn is_authorization_error(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(security: Security) -> ClusterSettings {
        ClusterSettings {
            bootstrap_servers: "evhns-xact.servicebus.windows.net:9093".to_owned(),
            security,
            ca_file: None,
        }
    }

    fn text(code: RDKafkaErrorCode, reason: &str, security: Security) -> String {
        let error = ConnectionError::classify(&KafkaError::Global(code), reason, &cluster(security));
        error.unwrap().to_string()
    }

    fn sas() -> Security {
        Security::ConnectionString("Endpoint=sb://…".into())
    }

    #[test]
    fn each_cause_says_what_to_do() {
        for (code, reason, words) in [
            (
                RDKafkaErrorCode::Authentication,
                "Invalid username",
                "--namespace-name evhns-xact",
            ),
            (
                RDKafkaErrorCode::Resolve,
                "Failed to resolve",
                "<namespace>.servicebus.windows.net:9093",
            ),
            (
                RDKafkaErrorCode::SSL,
                "certificate verify failed: unable to get issuer",
                "SSL_CERT_FILE",
            ),
            (RDKafkaErrorCode::SSL, "wrong version number", "9093"),
            (
                RDKafkaErrorCode::BrokerTransportFailure,
                "Connection refused",
                "no broker answers",
            ),
        ] {
            let text = text(code, reason, sas());
            assert!(
                text.contains(words) && text.ends_with(&format!("({reason})")),
                "{code:?}: {text}"
            );
        }
    }

    #[test]
    fn a_broker_that_requires_credentials_names_the_variables_to_set() {
        let text = text(RDKafkaErrorCode::Authentication, "", Security::Plaintext);
        assert!(text.contains("LOCAL_KAFKA_SECURITY_PROTOCOL=SASL_SSL"), "{text}");
    }

    #[test]
    fn the_text_contains_no_secret() {
        let text = text(
            RDKafkaErrorCode::Authentication,
            "refused Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=PLANTED=",
            sas(),
        );
        assert!(!text.contains("PLANTED"), "{text}");
    }

    #[test]
    fn other_errors_are_not_connection_errors() {
        let error = KafkaError::Global(RDKafkaErrorCode::NotCoordinator);
        assert_eq!(ConnectionError::classify(&error, "", &cluster(sas())), None);
    }
}
