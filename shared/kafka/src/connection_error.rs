//! Why a cluster cannot be used, and what to do about it: one text per cause.
//!
//! librdkafka reports each failed attempt in its own words. The operator needs the cause, once, and the next step.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use xact_config::{ClusterSettings, Security};
use xact_contracts::redaction::redact_text;

/// The reason that a cluster cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bootstrap}: {cause} ({detail})")]
pub struct ConnectionError {
    pub(crate) cause: ClusterError,
    bootstrap: String,
    detail: String,
}

/// What is wrong with a cluster or the access to it, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(
        "the credentials are refused: the connection string does not belong to namespace {namespace}, or its key was \
         regenerated. Copy it again: az eventhubs namespace authorization-rule keys list --resource-group \
         <resource group> --namespace-name {namespace} --name <policy> --query primaryConnectionString --output tsv"
    )]
    ConnectionStringRejected { namespace: String },
    #[error(
        "the token of the Azure identity is refused: it has expired by the broker's clock, or was issued for another \
         host. Check this machine's clock, that the bootstrap server is the namespace's own name, and that the \
         identity belongs to the namespace's tenant. A new token is requested"
    )]
    TokenRejected,
    #[error("there is no token of the Azure identity")]
    TokenUnavailable,
    #[error(
        "the broker requires credentials: set LOCAL_KAFKA_SECURITY_PROTOCOL=SASL_SSL, and \
         LOCAL_KAFKA_CONNECTION_STRING unless the Azure identity is to be used"
    )]
    CredentialsRequired,
    #[error(
        "the broker's name is unknown: check the bootstrap servers (Event Hubs: \
         <namespace>.servicebus.windows.net:9093) and this machine's DNS; behind a private endpoint the DNS zone is \
         privatelink.servicebus.windows.net"
    )]
    UnknownHost,
    #[error(
        "the broker's certificate is not trusted: install the certificate authorities (Debian: ca-certificates), or \
         set SSL_CERT_FILE to a file with yours; also check that no proxy on the way intercepts TLS"
    )]
    UntrustedCertificate,
    #[error("TLS fails: check that the port is the TLS one (Event Hubs: 9093), and the security protocol")]
    TlsFailed,
    #[error("no broker answers: check that it runs, the bootstrap servers and the network")]
    Unreachable,
    #[error("the broker is connected but has not answered: check whether it hangs, and the network")]
    NotResponding,
}

impl ConnectionError {
    /// Classifies an error of a client of `cluster`; `None` if it does not concern the connection.
    pub fn classify(error: &KafkaError, reason: &str, cluster: &ClusterSettings) -> Option<Self> {
        let cause = match error.rdkafka_error_code()? {
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => match &cluster.security {
                // Two texts of librdkafka: its token refresh failed, and it tried to connect without a token.
                Security::Identity(_)
                    if reason.contains("acquire SASL OAUTHBEARER token") || reason.contains("no token available") =>
                {
                    ClusterError::TokenUnavailable
                }
                Security::Identity(_) => ClusterError::TokenRejected,
                Security::ConnectionString(_) => ClusterError::ConnectionStringRejected {
                    namespace: namespace(cluster).to_owned(),
                },
                Security::Plaintext | Security::Tls => ClusterError::CredentialsRequired,
            },
            RDKafkaErrorCode::Resolve => ClusterError::UnknownHost,
            RDKafkaErrorCode::SSL if reason.contains("certificate") => ClusterError::UntrustedCertificate,
            RDKafkaErrorCode::SSL => ClusterError::TlsFailed,
            RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure => ClusterError::Unreachable,
            _ => return None,
        };
        // librdkafka puts its own prefix before the text of our token error.
        let detail = match (&cause, reason.split_once("OAUTHBEARER token: ")) {
            (ClusterError::TokenUnavailable, Some((_, why))) => why,
            _ => reason,
        };
        Some(Self::new(cause, cluster, detail))
    }

    /// Returns the error for a broker that has not responded for this long.
    pub(crate) fn not_responding(silence: Duration, cluster: &ClusterSettings) -> Self {
        let detail = format!("for {} s", silence.as_secs());
        Self::new(ClusterError::NotResponding, cluster, &detail)
    }

    fn new(cause: ClusterError, cluster: &ClusterSettings, detail: &str) -> Self {
        Self {
            cause,
            bootstrap: cluster.bootstrap_servers.clone(),
            detail: redact_text(detail),
        }
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn cluster(security: Security) -> ClusterSettings {
        ClusterSettings {
            bootstrap_servers: "evhns-xact.servicebus.windows.net:9093".to_owned(),
            security,
            ca_file: None,
        }
    }

    #[test]
    fn each_cause_says_what_to_do_and_contains_no_secret() {
        use RDKafkaErrorCode as Code;
        let sas = || Security::ConnectionString("Endpoint=sb://…".into());
        for (code, reason, security, words) in [
            (
                Code::Authentication,
                "Invalid username",
                sas(),
                "--namespace-name evhns-xact",
            ),
            (
                Code::Resolve,
                "unknown",
                sas(),
                "<namespace>.servicebus.windows.net:9093",
            ),
            (Code::SSL, "certificate verify failed", sas(), "SSL_CERT_FILE"),
            (Code::SSL, "wrong version number", sas(), "9093"),
            (Code::BrokerTransportFailure, "refused", sas(), "no broker answers"),
            (
                Code::Authentication,
                "",
                Security::Plaintext,
                "LOCAL_KAFKA_SECURITY_PROTOCOL=SASL_SSL",
            ),
        ] {
            let error = ConnectionError::classify(&KafkaError::Global(code), reason, &cluster(security));
            let text = error.unwrap().to_string();
            let is_whole = text.contains(words) && text.ends_with(&format!("({reason})"));
            assert!(is_whole, "{code:?}: {text}");
        }
        let classify = |code, reason| ConnectionError::classify(&KafkaError::Global(code), reason, &cluster(sas()));
        let secret = "refused Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=PLANTED=";
        let text = classify(Code::Authentication, secret).unwrap().to_string();
        assert!(!text.contains("PLANTED"), "{text}");
        assert_eq!(
            classify(Code::NotCoordinator, ""),
            None,
            "it is not about the connection"
        );
    }
}
