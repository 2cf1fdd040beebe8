//! Producing what kcat cannot write: transactions, and batches of a given compression.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use xact_testkit::Result;
use xact_testkit::failed;

const LIMIT: Duration = Duration::from_secs(60);

fn broken(what: &'static str) -> impl Fn(KafkaError) -> xact_testkit::Error {
    move |error| failed(what, error.to_string())
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &str, value: &[u8]) -> Result<()> {
    let record = BaseRecord::to(topic).partition(partition).key(key).payload(value);
    producer.send(record).map_err(|(error, _)| broken("send")(error))
}

/// Sends records to a partition in one batch, compressed with `codec`: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
pub(crate) fn send_batch(
    broker: &str,
    topic: &str,
    partition: i32,
    codec: &str,
    records: &[(String, Vec<u8>)],
) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("compression.type", codec)
        .set("linger.ms", "2000")
        .create()
        .map_err(broken("producer"))?;
    for (key, value) in records {
        send(&producer, topic, partition, key, value)?;
    }
    producer.flush(LIMIT).map_err(broken("flush"))
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its records are read.
    Commit,
    /// Nobody reads them.
    Abort,
}

/// A producer that writes in transactions.
pub(crate) struct Transactions(BaseProducer);

impl Transactions {
    /// With this transactional id.
    pub(crate) fn start(broker: &str, id: &str) -> Result<Self> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .set("transactional.id", id)
            .create()
            .map_err(broken("producer"))?;
        producer.init_transactions(LIMIT).map_err(broken("init_transactions"))?;
        Ok(Self(producer))
    }

    /// Begins a transaction, which [`Transactions::end`] ends.
    pub(crate) fn begin(&self) -> Result<()> {
        self.0.begin_transaction().map_err(broken("begin"))
    }

    /// Sends a record within it.
    pub(crate) fn send(&self, topic: &str, partition: i32, key: &str, value: &[u8]) -> Result<()> {
        send(&self.0, topic, partition, key, value)
    }

    /// Ends it, once the broker has all of its records.
    pub(crate) fn end(&self, end: End) -> Result<()> {
        self.0.flush(LIMIT).map_err(broken("flush"))?;
        match end {
            End::Commit => self.0.commit_transaction(LIMIT).map_err(broken("commit")),
            End::Abort => self.0.abort_transaction(LIMIT).map_err(broken("abort")),
        }
    }
}
