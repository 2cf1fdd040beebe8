//! How to speak to a Kafka cluster: librdkafka's settings, with Event Hubs' limits kept everywhere.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use secrecy::ExposeSecret;

use xact_config::{ClusterSettings, Security, Settings};

/// Event Hubs takes 1 MB for value, key and headers together.
const MAX_MESSAGE_BYTES: &str = "1000000";

/// How often lag and connection state are looked at, for clients that listen to them.
const STATISTICS_MS: &str = "1000";

/// The least time for which a consumer may not poll before it leaves its group. Librdkafka waits as long for the group's
/// answer when it joins, and the answer of a broker that was frozen may never come: its default of five minutes would be an
/// outage of five minutes. No less, since a table that hangs is asked for its positions for up to 90 seconds in between.
const POLL_INTERVAL: Duration = Duration::from_secs(120);

/// What decides which records can be read, for the stages and for whoever looks whether they could.
pub const READ_SETTINGS: [(&str, &str); 2] = [
    // The default: what was aborted is not a message.
    ("isolation.level", "read_committed"),
    // A batch that is larger comes all the same, alone.
    ("fetch.message.max.bytes", "1048576"),
];

/// Settings that every client of the cluster shares.
#[must_use]
pub fn client(cluster: &ClusterSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &cluster.bootstrap_servers)
        .set("client.id", "xact-pipeline")
        .set("socket.keepalive.enable", "true")
        // Event Hubs cuts connections that are idle for 240 s.
        .set("metadata.max.age.ms", "180000")
        .set("connections.max.idle.ms", "180000")
        // How soon a client notices that a topic is there now, or that it is let in: a role takes minutes to spread, and
        // who waits for it should not wait for five minutes more.
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "5000");
    if !matches!(cluster.security, Security::Plaintext) {
        // OpenSSL is linked in, and has no certificates where it would look for them by itself.
        let system = Path::new("probe");
        let authorities = cluster.ca_file.as_deref().unwrap_or(system);
        config.set("ssl.ca.location", authorities.to_string_lossy());
    }
    match &cluster.security {
        Security::Plaintext => {}
        Security::Tls => {
            config.set("security.protocol", "SSL");
        }
        Security::ConnectionString(connection_string) => {
            config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", "$ConnectionString")
                .set("sasl.password", connection_string.expose_secret());
        }
        // The tokens come from the client's context.
        Security::Identity(_) => {
            config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "OAUTHBEARER");
        }
    }
    config
}

/// Settings of a stage's consumer.
#[must_use]
pub fn consumer(cluster: &ClusterSettings, settings: &Settings, group: &str) -> ClientConfig {
    let mut config = client(cluster);
    config
        .set("group.id", group)
        .set("statistics.interval.ms", STATISTICS_MS)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Where a group begins is committed before its first record (`consume::prime`). This is for a position that expires
        // or is lost while it is read: `latest` would skip all that is there.
        .set("auto.offset.reset", "earliest")
        // A member that comes or goes stops only the partitions that move. The assignment is made by the clients,
        // so every broker allows it, Event Hubs included.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("max.poll.interval.ms", poll_interval(settings).as_millis().to_string())
        .set("session.timeout.ms", settings.session_timeout.as_millis().to_string())
        .set(
            "heartbeat.interval.ms",
            (settings.session_timeout.as_millis() / 10).min(3000).to_string(),
        )
        .set("fetch.wait.max.ms", settings.fetch_wait.as_millis().to_string())
        // Prefetched messages are memory: a tenth of librdkafka's default is ample for a process of 128 MiB.
        .set("queued.max.messages.kbytes", "6144")
        .set("queued.min.messages", "5000")
        // Full is not for long: the default of a second would be a pause of every partition that was read ahead of.
        .set("fetch.queue.backoff.ms", "20");
    for (name, value) in READ_SETTINGS {
        config.set(name, value);
    }
    config
}

/// Librdkafka wants no less than the session; and a drain may take the whole grace between two polls.
fn poll_interval(settings: &Settings) -> Duration {
    POLL_INTERVAL
        .max(settings.session_timeout)
        .max(settings.shutdown_grace + Duration::from_secs(30))
}

/// Settings of a producer.
#[must_use]
pub fn producer(cluster: &ClusterSettings) -> ClientConfig {
    let mut config = client(cluster);
    config
        .set("enable.idempotence", "true")
        .set("statistics.interval.ms", STATISTICS_MS)
        .set("acks", "all")
        // As Java clients do, so that one event's messages meet in one partition whoever sends them.
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("compression.type", "none")
        .set("message.max.bytes", MAX_MESSAGE_BYTES)
        .set("request.timeout.ms", "60000")
        .set("message.timeout.ms", "120000")
        .set("queue.buffering.max.kbytes", "65536");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(security: Security, ca_file: Option<&str>) -> ClusterSettings {
        ClusterSettings {
            bootstrap_servers: "evhns-xact.servicebus.windows.net:9093".to_owned(),
            security,
            ca_file: ca_file.map(Into::into),
        }
    }

    #[test]
    fn the_limits_of_event_hubs_are_kept_whatever_the_cluster() {
        let config = producer(&cluster(Security::Plaintext, None));
        for (name, value) in [
            ("compression.type", "none"),
            ("message.max.bytes", "1000000"),
            ("allow.auto.create.topics", "false"),
            ("socket.keepalive.enable", "true"),
            ("request.timeout.ms", "60000"),
        ] {
            assert_eq!(config.get(name), Some(value));
        }
        assert_eq!(config.get("transactional.id"), None);
        // It cuts what is idle for 240 s.
        for name in ["metadata.max.age.ms", "connections.max.idle.ms"] {
            let millis: u32 = config.get(name).unwrap().parse().unwrap();
            assert!(millis < 240_000, "{name}");
        }
    }

    #[test]
    fn a_drain_and_a_long_session_fit_between_two_polls() {
        let millis = |variables: &[(&str, &str)]| {
            let variables = [("LOCAL_KAFKA_BOOTSTRAP_SERVERS", "b:9092")].iter().chain(variables);
            let environment = variables
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let settings = Settings::from_environment(&environment).unwrap();
            let config = consumer(&cluster(Security::Plaintext, None), &settings, "g");
            config.get("max.poll.interval.ms").unwrap().to_owned()
        };
        assert_eq!(millis(&[]), "120000");
        assert_eq!(millis(&[("KAFKA_SESSION_TIMEOUT_MS", "300000")]), "300000");
        assert_eq!(millis(&[("SHUTDOWN_GRACE_SECONDS", "600")]), "630000");
    }

    #[test]
    fn a_certificate_is_checked_with_the_systems_authorities_or_those_that_are_named() {
        let sas = Security::ConnectionString("x".into());
        let authorities = |security, file| {
            client(&cluster(security, file))
                .get("ssl.ca.location")
                .map(str::to_owned)
        };
        assert_eq!(authorities(sas.clone(), None).unwrap(), "probe");
        assert_eq!(authorities(sas, Some("/own.pem")).unwrap(), "/own.pem");
        assert_eq!(authorities(Security::Tls, None).unwrap(), "probe");
        assert_eq!(authorities(Security::Plaintext, None), None);
    }
}
