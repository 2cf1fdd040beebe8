//! How to speak to a Kafka cluster: librdkafka's settings, with Event Hubs' limits kept everywhere.

use crate::config::{ClusterSettings, OffsetReset, Security, Settings};
use rdkafka::ClientConfig;
use secrecy::ExposeSecret;

/// Event Hubs takes 1 MB for value, key and headers together.
const MAX_MESSAGE_BYTES: &str = "1000000";

/// How often lag and connection state are looked at, for clients that listen to them.
const STATISTICS_MS: &str = "1000";

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
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "5000");
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
    }
    config
}

/// Settings of a stage's consumer.
#[must_use]
pub fn consumer(cluster: &ClusterSettings, settings: &Settings, group: &str, reset: OffsetReset) -> ClientConfig {
    let mut config = client(cluster);
    config
        .set("group.id", group)
        .set("statistics.interval.ms", STATISTICS_MS)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set(
            "auto.offset.reset",
            match reset {
                OffsetReset::Earliest => "earliest",
                OffsetReset::Latest => "latest",
            },
        )
        // A member that comes or goes stops only the partitions that move. The assignment is made by the clients,
        // so every broker allows it, Event Hubs included.
        .set("partition.assignment.strategy", "cooperative-sticky")
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
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.message.max.bytes", "1048576");
    config
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
