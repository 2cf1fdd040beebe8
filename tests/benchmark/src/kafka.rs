//! Plain librdkafka clients: fill topics, count and read records, and run the bare loop of `ingest`.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use xact_testkit::{Result, context, failed};

/// Partitions of each topic.
pub(crate) const PARTITIONS: i32 = 6;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one topic, which counts its records.
pub(crate) struct Topic {
    client: BaseConsumer,
    name: String,
    partitions: i32,
}

impl Topic {
    pub(crate) fn new(broker: &str, name: &str, partitions: i32) -> Result<Self> {
        let client = config(broker).create().map_err(context("Kafka"))?;
        Ok(Self {
            client,
            name: name.to_owned(),
            partitions,
        })
    }

    /// Returns the number of records that were ever written to the topic.
    pub(crate) fn count(&self) -> Result<u64> {
        let mut sum = 0;
        for partition in 0..self.partitions {
            let watermarks = self.client.fetch_watermarks(&self.name, partition, TIMEOUT);
            let (_, high) = watermarks.map_err(context("Kafka"))?;
            sum += u64::try_from(high).unwrap_or(0);
        }
        Ok(sum)
    }
}

/// Sends records, keyed, with the same settings as the product's producer.
pub(crate) struct Sender {
    producer: BaseProducer,
}

impl Sender {
    pub(crate) fn new(broker: &str) -> Result<Self> {
        let producer = config(broker)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("partitioner", "murmur2_random")
            .create()
            .map_err(context("Kafka"))?;
        Ok(Self { producer })
    }

    pub(crate) fn send(&self, topic: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::to(topic).key(key).payload(value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.serve(Duration::from_millis(5));
                }
                Err((e, _)) => return Err(context("Kafka")(e)),
            }
        }
    }

    /// Sends a message for each of these traces, keyed by it, and waits until all are acknowledged.
    pub(crate) fn fill(
        &self,
        topic: &str,
        traces: impl Iterator<Item = String>,
        message: impl Fn(&str) -> Vec<u8>,
    ) -> Result<()> {
        for trace_id in traces {
            self.send(topic, trace_id.as_bytes(), &message(&trace_id))?;
        }
        self.flush()
    }

    /// Serves acknowledgements.
    pub(crate) fn serve(&self, wait: Duration) {
        self.producer.poll(wait);
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.producer.flush(TIMEOUT).map_err(context("Kafka"))
    }
}

/// Consumes `count` records of a topic and produces to another one, acknowledged: for each record and its value, what `send`
/// does with the sender. Returns records per second.
pub(crate) fn consume_and_produce(
    broker: &str,
    from: &str,
    partitions: i32,
    count: u64,
    mut send: impl FnMut(&Sender, &BorrowedMessage<'_>, &[u8]) -> Result<()>,
) -> Result<f64> {
    let sender = Sender::new(broker)?;
    let mut begun = None;
    each_record(broker, from, partitions, count, |message| {
        let _ = begun.get_or_insert_with(Instant::now);
        send(&sender, message, message.payload().unwrap_or_default())?;
        sender.serve(Duration::ZERO);
        Ok(())
    })?;
    sender.flush()?;
    let elapsed = begun.map_or(f64::NAN, |begun| begun.elapsed().as_secs_f64());
    #[allow(clippy::cast_precision_loss)]
    Ok(count as f64 / elapsed)
}

/// Reads the first `count` records of a topic with a plain consumer.
pub(crate) fn each_record(
    broker: &str,
    topic: &str,
    partitions: i32,
    count: u64,
    mut visit: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
) -> Result<()> {
    let consumer: BaseConsumer = config(broker).create().map_err(context("Kafka"))?;
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::Beginning)
            .map_err(context("Kafka"))?;
    }
    consumer.assign(&all).map_err(context("Kafka"))?;
    for _ in 0..count {
        let Some(message) = consumer.poll(TIMEOUT) else {
            return Err(failed("a plain consumer", "the broker returned no more records"));
        };
        visit(&message.map_err(context("Kafka"))?)?;
    }
    Ok(())
}

fn config(broker: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker)
        .set("group.id", "xact-benchmark")
        .set("enable.auto.commit", "false");
    config
}
