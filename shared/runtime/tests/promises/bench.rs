//! One worker on an embedded broker, with raw Kafka clients beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use xact_config::{Environment, Settings};
use xact_contracts::messages::{Message, encode};
use xact_contracts::topology::Stage;
use xact_kafka::admin::EmbeddedBroker;
use xact_runtime::Factory;
use xact_runtime::process::Process;

/// Longest wait for anything: the embedded broker alone takes seconds to form a group.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens once.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Gate {
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    pub async fn wait(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

pub struct Bench {
    _broker: EmbeddedBroker,
    pub settings: Settings,
    process: Option<Process>,
    drain: CancellationToken,
    producer: FutureProducer,
    stage: Stage,
    factory: Factory,
}

impl Bench {
    /// Starts a worker and waits until it reads.
    pub async fn start(stage: Stage, factory: Factory) -> Self {
        let mut environment = Environment::default();
        for (name, value) in [
            ("DEV_MODE", "true"),
            ("RETRY_DELAYS", "1,2,4,8"),
            ("METRICS_PORT", "0"),
            ("COMMIT_INTERVAL_MS", "50"),
            ("KAFKA_FETCH_WAIT_MS", "10"),
            ("KAFKA_SESSION_TIMEOUT_MS", "6000"),
            ("EVENT_BATCH_SIZE", "50"),
            ("EVENT_BATCH_SECONDS", "0.2"),
        ] {
            environment.set(name, value);
        }
        let broker = EmbeddedBroker::start(&Settings::from_environment(&environment).unwrap().topics).unwrap();
        environment.set("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers());
        let settings = Settings::from_environment(&environment).unwrap();
        let producer = client(&settings).set("linger.ms", "0").create().unwrap();
        let bench = Self {
            _broker: broker,
            settings,
            process: None,
            drain: CancellationToken::new(),
            producer,
            stage,
            factory,
        };
        let bench = bench.restart().await;
        bench.wait_ready().await;
        bench
    }

    /// Starts the worker anew on the same broker.
    pub async fn restart(mut self) -> Self {
        self.drain = CancellationToken::new();
        let stages = vec![(self.stage, Arc::clone(&self.factory))];
        let process = Process::start(self.settings.clone(), stages, 1, self.drain.clone()).await;
        self.process = Some(process.unwrap());
        self
    }

    /// Drains the worker; the broker stays.
    pub async fn stop(mut self) -> Self {
        self.drain.cancel();
        let drained = self.process.take().unwrap().wait().await;
        assert!(drained, "the worker did not drain in time");
        self
    }

    pub async fn send_to<M: Message + serde::Serialize>(&self, topic: &str, partition: i32, message: &M) {
        self.send_bytes(topic, partition, &encode(message)).await;
    }

    pub async fn send_bytes(&self, topic: &str, partition: i32, value: &[u8]) {
        let record: FutureRecord<'_, str, [u8]> =
            FutureRecord::to(topic).partition(partition).key("key").payload(value);
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    /// Every record of a topic now.
    pub async fn records(&self, topic: &str) -> Vec<Vec<u8>> {
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || read(&settings, &topic))
            .await
            .unwrap()
    }

    /// Waits until a topic has at least so many records; more are a failure of the caller's to see.
    pub async fn wait_for_records(&self, topic: &str, count: usize) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = self.records(topic).await;
            if records.len() >= count {
                assert_eq!(records.len(), count, "records in {topic}");
                return records;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} records in {topic}",
                records.len()
            );
        }
    }

    pub async fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        let group = self.settings.groups.of(self.stage);
        let consumer: BaseConsumer = client(&self.settings).set("group.id", &group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        tokio::task::spawn_blocking(move || {
            let committed = consumer.committed_offsets(list, PATIENCE).unwrap();
            committed.elements()[0].offset().to_raw().filter(|&offset| offset >= 0)
        })
        .await
        .unwrap()
    }

    pub async fn wait_committed(&self, topic: &str, partition: i32, offset: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let committed = self.committed(topic, partition).await;
            if committed == Some(offset) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{topic}[{partition}] is at {committed:?}, not {offset}"
            );
        }
    }

    fn not_ready(&self) -> Vec<String> {
        let health = &self.process.as_ref().unwrap().shared.health;
        health
            .not_ready()
            .into_iter()
            .map(|(component, reason)| format!("{component}: {reason}"))
            .collect()
    }

    pub async fn wait_ready(&self) {
        self.wait_health("readiness", Vec::is_empty).await;
    }

    pub async fn wait_not_ready(&self, reason: &str) {
        self.wait_health(reason, |reasons| reasons.iter().any(|found| found.contains(reason)))
            .await;
    }

    async fn wait_health(&self, what: &str, is_so: impl Fn(&Vec<String>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.not_ready()) {
            assert!(Instant::now() < deadline, "waiting for {what}: {:?}", self.not_ready());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn client(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.internal_cluster.bootstrap_servers)
        .set("fetch.wait.max.ms", "10");
    config
}

fn read(settings: &Settings, topic: &str) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = client(settings).set("group.id", "reader").create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    let mut expected = 0;
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
        expected += usize::try_from(high - low).unwrap();
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while records.len() < expected && Instant::now() < deadline {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            records.push(message.payload().unwrap_or_default().to_vec());
        }
    }
    records
}
