//! One worker on an embedded broker, with raw Kafka clients beside it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use xact_config::{Environment, Settings};
use xact_contracts::topology::Stage;
use xact_kafka::admin::EmbeddedBroker;
use xact_runtime::Factory;
use xact_runtime::process::Process;

/// Longest wait for anything: the embedded broker alone takes seconds to form a group.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Opens once, when it is cancelled.
pub type Gate = CancellationToken;

/// Asks until the answer is as expected, and returns it.
pub async fn wait_for<T: Debug>(what: &str, mut ask: impl AsyncFnMut() -> T, is_expected: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let answer = ask().await;
        if is_expected(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "waiting for {what}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
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
        let bench = Self {
            _broker: broker,
            producer: client(&settings).set("linger.ms", "0").create().unwrap(),
            settings,
            process: None,
            drain: CancellationToken::new(),
            stage,
            factory,
        };
        let bench = bench.restart().await;
        bench.wait_ready().await;
        bench
    }

    /// Starts the worker again on the same broker.
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

    pub async fn send_bytes(&self, topic: &str, partition: i32, value: &[u8]) {
        let record = FutureRecord::<str, [u8]>::to(topic).partition(partition);
        let record = record.key("key").payload(value);
        self.producer.send(record, TIMEOUT).await.unwrap();
    }

    /// Every record of a topic now.
    pub async fn records(&self, topic: &str) -> Vec<Vec<u8>> {
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || read(&settings, &topic));
        read.await.unwrap()
    }

    /// Waits until a topic has this number of records; more are a failure.
    pub async fn wait_for_records(&self, topic: &str, count: usize) -> Vec<Vec<u8>> {
        let what = format!("{count} records in {topic}");
        let records = wait_for(&what, || self.records(topic), |records| records.len() >= count).await;
        assert_eq!(records.len(), count, "records in {topic}");
        records
    }

    pub async fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        let group = self.settings.groups.of(self.stage);
        let consumer: BaseConsumer = client(&self.settings).set("group.id", &group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let committed = tokio::task::spawn_blocking(move || consumer.committed_offsets(list, TIMEOUT).unwrap());
        let offset = committed.await.unwrap().elements()[0].offset();
        offset.to_raw().filter(|&offset| offset >= 0)
    }

    pub async fn wait_committed(&self, topic: &str, partition: i32, offset: i64) {
        let what = format!("{topic}[{partition}] at {offset}");
        let ask = || self.committed(topic, partition);
        wait_for(&what, ask, |committed| *committed == Some(offset)).await;
    }

    async fn not_ready(&self) -> Vec<String> {
        let reasons = self.process.as_ref().unwrap().shared.health.not_ready();
        let reasons = reasons.into_iter();
        reasons
            .map(|(component, reason)| format!("{component}: {reason}"))
            .collect()
    }

    pub async fn wait_ready(&self) {
        wait_for("readiness", || self.not_ready(), Vec::is_empty).await;
    }

    pub async fn wait_not_ready(&self, reason: &str) {
        let is_reported = |reasons: &Vec<String>| reasons.iter().any(|found| found.contains(reason));
        wait_for(reason, || self.not_ready(), is_reported).await;
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
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
    let mut list = TopicPartitionList::new();
    let mut expected = 0;
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT).unwrap();
        expected += usize::try_from(high - low).unwrap();
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    while records.len() < expected && Instant::now() < deadline {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            records.push(message.payload().unwrap_or_default().to_vec());
        }
    }
    records
}
