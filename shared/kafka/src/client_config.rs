//! The librdkafka settings of each kind of client. The limits of Event Hubs apply to every cluster.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use secrecy::ExposeSecret;

use xact_config::{ClusterSettings, Security, Settings};

/// Event Hubs accepts 1 MB for value, key and headers together.
const MAX_MESSAGE_BYTES: &str = "1000000";

/// How often librdkafka emits statistics, from which lag and connection state are read.
const STATISTICS_INTERVAL_MS: &str = "1000";

/// Lower bound of `max.poll.interval.ms`. librdkafka also waits this long for the response to a JoinGroup request, which a
/// broker that was frozen may never send, so its default of five minutes would mean an outage of five minutes. It cannot be
/// lower, because reading start positions from an unresponsive table may block the polling thread for up to 90 seconds.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(120);

const MAX_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// Settings that decide which records can be read. The stages and the operator's record probe share them.
pub(crate) const READ_SETTINGS: [(&str, &str); 2] = [
    // The default: records of aborted transactions are not delivered.
    ("isolation.level", "read_committed"),
    // A larger batch is still delivered, alone.
    ("fetch.message.max.bytes", "1048576"),
];

/// Returns the version of librdkafka.
#[must_use]
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Returns the settings that every client of the cluster shares.
pub(crate) fn client(cluster: &ClusterSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &cluster.bootstrap_servers)
        .set("client.id", "xact-pipeline")
        .set("socket.keepalive.enable", "true")
        // Event Hubs closes connections that are idle for 240 s.
        .set("metadata.max.age.ms", "180000")
        .set("connections.max.idle.ms", "180000")
        // How soon a client detects that a topic was created or access was granted. A role assignment takes minutes to
        // propagate; librdkafka's default would add five more.
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "5000");
    if !matches!(cluster.security, Security::Plaintext) {
        // OpenSSL is linked statically, so its default certificate paths do not exist: librdkafka must probe for them.
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
        // The tokens come from the client's `Connection`.
        Security::Identity(_) => {
            config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "OAUTHBEARER");
        }
    }
    config
}

/// Returns the settings of a stage's consumer.
#[must_use]
pub fn consumer(cluster: &ClusterSettings, settings: &Settings, group: &str) -> ClientConfig {
    let mut config = client(cluster);
    let millis = |duration: Duration| duration.as_millis().to_string();
    let heartbeat = (settings.session_timeout / 10).min(MAX_HEARTBEAT_INTERVAL);
    config
        .set("group.id", group)
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A group's start positions are committed before its first record is read. This setting applies to a position
        // that expires while the partition is read: `latest` would skip every record that is still there.
        .set("auto.offset.reset", "earliest")
        // A rebalance stops only the partitions that move. The clients compute the assignment, so every broker supports
        // it, including Event Hubs.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("max.poll.interval.ms", millis(max_poll_interval(settings)))
        .set("session.timeout.ms", millis(settings.session_timeout))
        .set("heartbeat.interval.ms", millis(heartbeat))
        .set("fetch.wait.max.ms", millis(settings.fetch_wait))
        // Prefetched records count against a process's 128 MiB: a tenth of librdkafka's default is enough.
        .set("queued.max.messages.kbytes", "6144")
        .set("queued.min.messages", "5000")
        // The queue is full only briefly. The default of one second would delay every prefetching partition that long.
        .set("fetch.queue.backoff.ms", "20");
    for (name, value) in READ_SETTINGS {
        config.set(name, value);
    }
    config
}

/// librdkafka requires at least the session timeout, and a drain may take the whole grace period between two polls.
fn max_poll_interval(settings: &Settings) -> Duration {
    MIN_POLL_INTERVAL
        .max(settings.session_timeout)
        .max(settings.shutdown_grace + Duration::from_secs(30))
}

/// Returns the settings of a producer.
pub(crate) fn producer(cluster: &ClusterSettings) -> ClientConfig {
    let mut config = client(cluster);
    config
        .set("enable.idempotence", "true")
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS)
        .set("acks", "all")
        // The Java clients' partitioner: all messages of one event are in one partition, whichever client sent them.
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
    use crate::connection_error::tests::cluster;

    #[test]
    fn the_limits_of_event_hubs_apply_to_every_cluster() {
        let config = producer(&cluster(Security::Plaintext));
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
        // Event Hubs closes connections that are idle for 240 s.
        for name in ["metadata.max.age.ms", "connections.max.idle.ms"] {
            let millis: u32 = config.get(name).unwrap().parse().unwrap();
            assert!(millis < 240_000, "{name}");
        }
    }

    #[test]
    fn the_poll_interval_covers_a_drain_and_a_long_session() {
        let millis = |variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let environment = variables.collect();
            let settings = Settings::from_environment(&environment).unwrap();
            let config = consumer(&cluster(Security::Plaintext), &settings, "g");
            config.get("max.poll.interval.ms").unwrap().to_owned()
        };
        assert_eq!(millis(&[]), "120000");
        assert_eq!(millis(&[("KAFKA_SESSION_TIMEOUT_MS", "300000")]), "300000");
        assert_eq!(millis(&[("SHUTDOWN_GRACE_SECONDS", "600")]), "630000");
    }

    #[test]
    fn certificates_are_verified_against_the_systems_or_the_configured_authorities() {
        let sas = Security::ConnectionString("x".into());
        let authorities = |security, file: Option<&str>| {
            let mut cluster = cluster(security);
            cluster.ca_file = file.map(Into::into);
            client(&cluster).get("ssl.ca.location").map(str::to_owned)
        };
        assert_eq!(authorities(sas.clone(), None).unwrap(), "probe");
        assert_eq!(authorities(sas, Some("/own.pem")).unwrap(), "/own.pem");
        assert_eq!(authorities(Security::Tls, None).unwrap(), "probe");
        assert_eq!(authorities(Security::Plaintext, None), None);
    }
}
