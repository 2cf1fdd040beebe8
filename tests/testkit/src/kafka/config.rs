//! The broker's `server.properties`, and why each setting differs from Kafka's default.

use std::path::Path;

use super::secured::Secured;
use crate::{Result, ports};

/// Settings that differ between brokers.
#[derive(Debug)]
pub(super) struct Config {
    /// Port of the clients.
    pub(super) port: u16,
    /// Advertised port: its own, or that of a proxy in front of it.
    pub(super) advertised_port: u16,
    /// Port of the controller, in the same JVM.
    pub(super) controller_port: u16,
    /// Cluster id, a UUID in Kafka's base64 form.
    pub(super) cluster_id: String,
    /// Further listeners for clients.
    pub(super) secured: Option<Secured>,
    /// Session timeout and heartbeat interval of the broker's registration with the controller, in milliseconds.
    pub(super) session: (u32, u32),
}

impl Config {
    /// A killed broker can register again once its old registration has expired: after two seconds instead of nine. The
    /// heartbeat interval is also the time limit of the registration, and 200 ms are too short on a busy machine.
    pub(super) const SESSION: (u32, u32) = (2_000, 500);

    /// Creates a configuration with free ports, a new cluster id and one listener.
    pub(super) fn new() -> Result<Config> {
        let port = ports::free()?;
        Ok(Config {
            port,
            advertised_port: port,
            controller_port: ports::free()?,
            cluster_id: new_cluster_id(),
            secured: None,
            session: Self::SESSION,
        })
    }

    /// Returns further options of the broker's JVM.
    pub(super) fn jvm(&self) -> Vec<String> {
        self.secured.as_ref().and_then(Secured::jvm).into_iter().collect()
    }

    /// Returns the text of `server.properties` for a broker whose log is in `data`.
    pub(super) fn properties(&self, data: &Path) -> String {
        let Config {
            port,
            advertised_port,
            controller_port,
            session: (session, heartbeat),
            ..
        } = self;
        let data = data.display();
        let listeners = self.secured.as_ref().map(Secured::listeners).unwrap_or_default();
        let addresses: String = listeners
            .iter()
            .map(|(name, port)| format!(",{name}://127.0.0.1:{port}"))
            .collect();
        let protocols: String = listeners.iter().map(|(name, _)| format!(",{name}:SASL_SSL")).collect();
        let secured = self.secured.as_ref().map(Secured::properties).unwrap_or_default();
        format!(
            "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{addresses}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised_port}{addresses}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
inter.broker.listener.name=PLAINTEXT
{secured}
log.dirs={data}

# As on Event Hubs: topics are made on purpose, messages are at most 1 MiB.
auto.create.topics.enable=false
message.max.bytes=1048576

# One broker: every internal topic has one replica, and few partitions, which are made when first used.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A group needs no time to gather, and a test of a dead member need not wait 6 s for its session to end.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

broker.session.timeout.ms={session}
broker.heartbeat.interval.ms={heartbeat}

# Several brokers share this machine with what they test.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=2097152
"
        )
    }
}

/// Returns a random UUID in Kafka's form: 16 bytes as URL-safe base64 without padding, 22 characters.
pub(super) fn new_cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 22 characters carry 132 bits: the last one holds only two of the 128. A leading dash would be parsed as an option.
    let first = char::from(ALPHABET[fastrand::usize(..62)]);
    let middle = (0..20).map(|_| char::from(ALPHABET[fastrand::usize(..64)]));
    let last = char::from(ALPHABET[fastrand::usize(..4) * 16]);
    std::iter::once(first).chain(middle).chain([last]).collect()
}
