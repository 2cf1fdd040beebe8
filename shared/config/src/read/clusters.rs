//! The two Kafka clusters: how each is reached, and how the process authenticates to it.

use secrecy::{ExposeSecret, SecretString};

use crate::cluster::{ClusterSettings, Protocol, Security};
use crate::parse::is_made_of;
use crate::process_identity::ProcessIdentity;
use crate::reader::Reader;
use crate::variable::Var;
use crate::variables::*;

/// The form of a bootstrap server of Event Hubs.
const NAMESPACE: &str = "<namespace>.servicebus.windows.net:9093";

/// Returns the cluster of the events topic, if it has its own. `identity` is `None` if its variables are invalid.
pub(super) fn events_cluster(
    reader: &mut Reader<'_>,
    identity: Option<&ProcessIdentity>,
    topic: &str,
) -> Option<ClusterSettings> {
    let connection_string = reader.optional(&EVENTHUB_CONNECTION_STRING);
    let Some(servers) = reader.optional(&EVENTHUB_BOOTSTRAP_SERVERS) else {
        if connection_string.is_some() {
            reader.reject(
                &EVENTHUB_CONNECTION_STRING,
                format_args!("EVENTHUB_BOOTSTRAP_SERVERS must be set with it: {NAMESPACE}"),
            );
        }
        return None;
    };
    let mut cluster = secured(reader, servers);
    cluster.security = match connection_string {
        Some(text) => by_connection_string(reader, &EVENTHUB_CONNECTION_STRING, text, Some(topic)),
        None => by_identity(
            reader,
            identity,
            &cluster,
            &EVENTHUB_BOOTSTRAP_SERVERS,
            &EVENTHUB_CONNECTION_STRING,
        ),
    };
    Some(cluster)
}

/// Returns the cluster of all other topics.
pub(super) fn internal_cluster(reader: &mut Reader<'_>, identity: Option<&ProcessIdentity>) -> ClusterSettings {
    let servers = reader.get(&LOCAL_KAFKA_BOOTSTRAP_SERVERS);
    let mut cluster = secured(reader, servers);
    let connection_string = reader.optional(&LOCAL_KAFKA_CONNECTION_STRING);
    cluster.security = match (reader.get(&LOCAL_KAFKA_SECURITY_PROTOCOL), connection_string) {
        (Protocol::Plaintext, None) => Security::Plaintext,
        (Protocol::Ssl, None) => Security::Tls,
        (Protocol::SaslSsl, Some(text)) => by_connection_string(reader, &LOCAL_KAFKA_CONNECTION_STRING, text, None),
        (Protocol::SaslSsl, None) => by_identity(
            reader,
            identity,
            &cluster,
            &LOCAL_KAFKA_BOOTSTRAP_SERVERS,
            &LOCAL_KAFKA_CONNECTION_STRING,
        ),
        (Protocol::Plaintext | Protocol::Ssl, Some(_)) => {
            reader.reject(
                &LOCAL_KAFKA_SECURITY_PROTOCOL,
                "must be SASL_SSL when LOCAL_KAFKA_CONNECTION_STRING is set: otherwise the key is sent unencrypted",
            );
            Security::Tls
        }
    };
    cluster
}

fn secured(reader: &mut Reader<'_>, bootstrap_servers: String) -> ClusterSettings {
    ClusterSettings {
        bootstrap_servers,
        security: Security::Tls,
        ca_file: reader.optional(&SSL_CERT_FILE),
    }
}

fn by_identity(
    reader: &mut Reader<'_>,
    identity: Option<&ProcessIdentity>,
    cluster: &ClusterSettings,
    servers: &Var<String>,
    connection_string: &Var<SecretString>,
) -> Security {
    // The host becomes part of the scope of a token.
    let host = cluster.host();
    let first = cluster.bootstrap_servers.split(',').next().unwrap_or_default();
    let port = first.rsplit_once(':').map(|(_, port)| port.trim().parse::<u16>());
    if !matches!(port, Some(Ok(_))) || host.is_empty() || !is_made_of(host, b".-") {
        reader.reject(servers, format_args!("must be {NAMESPACE}"));
    }
    match identity.map(ProcessIdentity::get) {
        Some(Ok(identity)) => return Security::Identity(identity),
        Some(Err(error)) => reader.errors.push(format!(
            "{} is not set, so {} is reached with the Azure identity: {error}",
            connection_string.name(),
            servers.name()
        )),
        // The invalid variables are reported already.
        None => {}
    }
    Security::Tls
}

/// Checks `Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…[;EntityPath=…]`. `topic` is the only topic that it is
/// used for, if there is only one.
fn by_connection_string(
    reader: &mut Reader<'_>,
    var: &Var<SecretString>,
    text: SecretString,
    topic: Option<&str>,
) -> Security {
    let part = |key: &str| {
        text.expose_secret().split(';').find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            (name.eq_ignore_ascii_case(key) && !value.is_empty()).then_some(value)
        })
    };
    for key in ["Endpoint", "SharedAccessKeyName", "SharedAccessKey"] {
        if part(key).is_none() {
            reader.reject(
                var,
                format_args!("has no {key}: copy the whole connection string of a shared access policy"),
            );
        }
    }
    match (topic, part("EntityPath")) {
        (Some(topic), Some(entity)) if entity != topic => reader.reject(
            var,
            format_args!("its EntityPath is {entity:?}, but EVENTHUB_EVENTS_TOPIC is {topic:?}: they must be the same"),
        ),
        (None, Some(entity)) => reader.reject(
            var,
            format_args!(
                "is only for the hub {entity:?} (its EntityPath), but there are several internal topics: copy the \
                 connection string of a policy of the namespace"
            ),
        ),
        _ => {}
    }
    Security::ConnectionString(text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{self, read};
    use super::*;

    const SERVICE_PRINCIPAL: [(&str, &str); 3] = [
        ("AZURE_TENANT_ID", "contoso.onmicrosoft.com"),
        ("AZURE_CLIENT_ID", "1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77"),
        ("AZURE_CLIENT_SECRET", "PLANTED"),
    ];
    const NS: &str = "ns.servicebus.windows.net:9093";
    const SAS: &str = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=x;SharedAccessKey=PLANTED=";

    /// The errors, without a secret.
    fn errors(variables: &[(&str, &str)]) -> String {
        let text = tests::errors(variables);
        assert!(!text.contains("PLANTED"), "{text}");
        text
    }

    #[test]
    fn a_connection_string_is_checked_and_never_shown() {
        let text = errors(&[
            ("EVENTHUB_BOOTSTRAP_SERVERS", NS),
            (
                "EVENTHUB_CONNECTION_STRING",
                "Endpoint=sb://ns/;SharedAccessKey=PLANTED;EntityPath=other",
            ),
        ]);
        for part in ["has no SharedAccessKeyName", "EntityPath is \"other\""] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn internal_topics_need_a_connection_string_of_the_namespace() {
        let text = errors(&[
            ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("LOCAL_KAFKA_CONNECTION_STRING", &format!("{SAS};EntityPath=x")),
        ]);
        assert!(text.contains("policy of the namespace"), "{text}");
    }

    #[test]
    fn without_connection_strings_both_clusters_use_the_identity() {
        let mut variables = SERVICE_PRINCIPAL.to_vec();
        variables.extend([
            ("EVENTHUB_BOOTSTRAP_SERVERS", NS),
            ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", NS),
            ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ]);
        let settings = read(&variables).unwrap();
        for cluster in [settings.cluster_of_events(), &settings.internal_cluster] {
            assert!(matches!(cluster.security, Security::Identity(_)), "{cluster:?}");
            assert_eq!(cluster.host(), "ns.servicebus.windows.net");
        }
        let scopes = settings.identity_scopes();
        assert_eq!(scopes, ["https://ns.servicebus.windows.net/.default"]);
        let identity = settings.identity().unwrap();
        let identity = identity.describe();
        assert!(identity.starts_with("service principal 1b0f7a52"), "{identity}");
        assert!(!format!("{settings:?}").contains("PLANTED"));
    }

    #[test]
    fn a_missing_identity_is_reported() {
        let text = errors(&[("EVENTHUB_BOOTSTRAP_SERVERS", NS)]);
        for part in ["EVENTHUB_CONNECTION_STRING is not set", "az login"] {
            assert!(text.contains(part), "{text}");
        }
        // An invalid variable is reported once, and not as a missing identity.
        let mut variables = SERVICE_PRINCIPAL.to_vec();
        variables.extend([
            ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("AZURE_TENANT_ID", "../x"),
        ]);
        let text = errors(&variables);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("AZURE_TENANT_ID"), "{text}");
    }

    #[test]
    fn a_missing_ca_file_is_reported_once_and_only_if_it_is_used() {
        let file = ("SSL_CERT_FILE", "/nowhere/ca.pem");
        let text = errors(&[
            file,
            ("EVENTHUB_BOOTSTRAP_SERVERS", NS),
            ("EVENTHUB_CONNECTION_STRING", SAS),
            ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SSL"),
        ]);
        assert_eq!(text.matches("SSL_CERT_FILE").count(), 1, "{text}");
        assert!(errors(&[file, ("ONELAKE_BASE_PATH", "abfss://ws@host/item/Files")]).contains("SSL_CERT_FILE"));
        assert!(read(&[file]).is_ok());
    }

    #[test]
    fn a_server_that_is_not_a_namespace_is_rejected() {
        let text = errors(&[("EVENTHUB_BOOTSTRAP_SERVERS", "https://ns.servicebus.windows.net")]);
        assert!(text.contains("<namespace>.servicebus.windows.net:9093"), "{text}");
    }
}
