//! Why a cluster cannot be used, and what to do about it: one text for each cause, whoever met it.
//!
//! librdkafka tells of each attempt, in words of its own. What an operator needs is the cause, once, and the next step.

use std::fmt;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use xact_config::{ClusterSettings, Security};
use xact_contracts::redaction::redact_text;

/// A cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The connection string is not one of the namespace.
    Key,
    /// The broker does not take the identity's token.
    Token,
    /// There is no token to show.
    NoToken,
    /// The broker wants credentials and got none.
    NoCredentials,
    /// DNS does not know the broker.
    UnknownHost,
    /// The broker's certificate is of nobody whom this machine trusts.
    Certificate,
    /// There is no TLS at the other end, or not the same.
    Tls,
    /// Nobody answers.
    Unreachable,
    /// The connection stands, and nothing comes.
    Silent,
}

/// A cause with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of error.
    pub cause: Cause,
    bootstrap: String,
    namespace: String,
    detail: String,
}

impl Trouble {
    /// What an error of a client of `cluster` means; `None`: it says nothing about the connection.
    pub fn of(error: &KafkaError, reason: &str, cluster: &ClusterSettings) -> Option<Self> {
        let cause = match error.rdkafka_error_code()? {
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => match &cluster.security {
                // Two texts of librdkafka: its refresh failed, and a connection was tried without a token.
                Security::Identity(_)
                    if reason.contains("acquire SASL OAUTHBEARER token") || reason.contains("no token available") =>
                {
                    Cause::NoToken
                }
                Security::Identity(_) => Cause::Token,
                Security::ConnectionString(_) => Cause::Key,
                Security::Plaintext | Security::Tls => Cause::NoCredentials,
            },
            RDKafkaErrorCode::Resolve => Cause::UnknownHost,
            RDKafkaErrorCode::SSL if reason.contains("certificate") => Cause::Certificate,
            RDKafkaErrorCode::SSL => Cause::Tls,
            RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure => Cause::Unreachable,
            _ => return None,
        };
        // Our own words come back behind librdkafka's.
        let detail = match (cause, reason.split_once("OAUTHBEARER token: ")) {
            (Cause::NoToken, Some((_, why))) => why,
            _ => reason,
        };
        Some(Self::new(cause, cluster, detail))
    }

    /// The broker owes an answer for so long.
    pub fn silent(silence: Duration, cluster: &ClusterSettings) -> Self {
        Self::new(Cause::Silent, cluster, &format!("for {} s", silence.as_secs()))
    }

    fn new(cause: Cause, cluster: &ClusterSettings, detail: &str) -> Self {
        Self {
            cause,
            bootstrap: cluster.bootstrap_servers.clone(),
            namespace: namespace(cluster).to_owned(),
            detail: redact_text(detail),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bootstrap,
            namespace,
            detail,
            ..
        } = self;
        write!(f, "{bootstrap}: ")?;
        match self.cause {
            Cause::Key => write!(
                f,
                "the credentials are refused: the connection string is none of namespace {namespace}, or its key was renewed. \
                 Copy it again: az eventhubs namespace authorization-rule keys list --resource-group <resource group> \
                 --namespace-name {namespace} --name <policy> --query primaryConnectionString --output tsv"
            )?,
            Cause::Token => write!(
                f,
                "the token of the Azure identity is refused: it has expired by the broker's clock, or is not for this host. \
                 Check this machine's clock, that the bootstrap server is the namespace's own name, and that the identity \
                 is of the namespace's tenant. A new token is asked for"
            )?,
            Cause::NoToken => write!(f, "there is no token of the Azure identity")?,
            Cause::NoCredentials => write!(
                f,
                "the broker wants credentials: set LOCAL_KAFKA_SECURITY_PROTOCOL=SASL_SSL, and \
                 LOCAL_KAFKA_CONNECTION_STRING unless the Azure identity is to be used"
            )?,
            Cause::UnknownHost => write!(
                f,
                "the broker's name is unknown: check the bootstrap servers (Event Hubs: \
                 <namespace>.servicebus.windows.net:9093), and this machine's DNS; behind a private endpoint its zone is \
                 privatelink.servicebus.windows.net"
            )?,
            Cause::Certificate => write!(
                f,
                "the broker's certificate is not trusted: install the certificate authorities (Debian: ca-certificates), or \
                 name the file of yours in SSL_CERT_FILE; check also that nothing between here and there breaks TLS open"
            )?,
            Cause::Tls => write!(
                f,
                "TLS fails: check that the port is the TLS one (Event Hubs: 9093), and the security protocol"
            )?,
            Cause::Unreachable => write!(
                f,
                "no broker answers: check that it runs, the bootstrap servers and the network"
            )?,
            Cause::Silent => write!(
                f,
                "the broker is connected but has not answered: check whether it hangs, and the network"
            )?,
        }
        write!(f, " ({detail})")
    }
}

/// The name of the Event Hubs namespace, as `az` wants it; of another broker, its host.
pub fn namespace(cluster: &ClusterSettings) -> &str {
    let host = cluster.host();
    match host.split_once('.') {
        Some((name, domain)) if domain.starts_with("servicebus.") => name,
        _ => host,
    }
}

/// Whether an error says that somebody is known and not allowed.
pub const fn is_authorization(code: RDKafkaErrorCode) -> bool {
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
        let trouble = Trouble::of(&KafkaError::Global(code), reason, &cluster(security));
        trouble.unwrap().to_string()
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
    fn a_broker_that_wants_credentials_from_somebody_without_any_says_which_to_set() {
        let text = text(RDKafkaErrorCode::Authentication, "", Security::Plaintext);
        assert!(text.contains("LOCAL_KAFKA_SECURITY_PROTOCOL=SASL_SSL"), "{text}");
    }

    #[test]
    fn a_reason_holds_no_secret() {
        let text = text(
            RDKafkaErrorCode::Authentication,
            "refused Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=PLANTED=",
            sas(),
        );
        assert!(!text.contains("PLANTED"), "{text}");
    }

    #[test]
    fn what_is_no_matter_of_the_connection_is_no_trouble() {
        let error = KafkaError::Global(RDKafkaErrorCode::NotCoordinator);
        assert_eq!(Trouble::of(&error, "", &cluster(sas())), None);
    }
}
