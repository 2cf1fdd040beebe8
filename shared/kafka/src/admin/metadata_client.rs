//! A consumer without a group membership, for metadata, watermarks, committed offsets and single reads.
//!
//! librdkafka reports the cause of a failed request in separate events: the request itself only fails with "timed out" or
//! "transport failure". Token requests are such events too, and without a token it does not connect. Events are served by
//! polling, so this client polls before a request and after a failed one.

use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ConstantBuilder};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::admin::error::AdminError;
use crate::client_config;
use crate::connection::Connection;
use crate::connection_error::ConnectionError;
use xact_config::{ClusterSettings, Security, Settings};

/// Time limit of a request, and of its retries together.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Longest wait for the next event. Those that explain a failed request arrive before its result.
const EVENT_TIMEOUT: Duration = Duration::from_millis(50);
/// Longest wait for the reason for a missing token, after a request has failed.
const TOKEN_ERROR_TIMEOUT: Duration = Duration::from_secs(10);

/// Most events to serve at once.
const MAX_EVENTS: usize = 100;

/// The client.
pub(crate) struct MetadataClient {
    client: BaseConsumer<Connection>,
    connection: Connection,
    cluster: ClusterSettings,
}

impl MetadataClient {
    /// Creates a client for metadata, which connects in the background.
    pub(crate) fn new(cluster: &ClusterSettings) -> Result<Self, AdminError> {
        Self::create(cluster, client_config::client(cluster), &[])
    }

    /// Creates a client that can also read records and this group's offsets, with further librdkafka settings.
    pub(crate) fn for_group(
        cluster: &ClusterSettings,
        group: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, AdminError> {
        let mut config = client_config::client(cluster);
        // librdkafka requires a group in order to read; without a subscription the client never joins it.
        config.set("group.id", group).set("enable.auto.commit", "false");
        Self::create(cluster, config, settings)
    }

    /// Creates a client with the settings of a stage's consumer, which can join the group.
    pub(crate) fn for_member(cluster: &ClusterSettings, settings: &Settings, group: &str) -> Result<Self, AdminError> {
        Self::create(cluster, client_config::consumer(cluster, settings, group), &[])
    }

    fn create(
        cluster: &ClusterSettings,
        mut config: ClientConfig,
        settings: &[(&str, &str)],
    ) -> Result<Self, AdminError> {
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let connection = Connection::for_metadata_client(cluster);
        let client = config.create_with_context(connection.clone());
        Ok(Self {
            client: client.map_err(AdminError::request("the client cannot be created", cluster))?,
            connection,
            cluster: cluster.clone(),
        })
    }

    /// Makes a request, with retries. Blocks. It must not be called while partitions are assigned: serving events would
    /// discard their records.
    pub(crate) fn request<T>(
        &self,
        what: impl Into<String>,
        request: impl Fn(&BaseConsumer<Connection>) -> Result<T, KafkaError>,
    ) -> Result<T, AdminError> {
        self.acquire_token();
        let response = with_retries(|| request(&self.client));
        if response.is_err() {
            self.serve_events(EVENT_TIMEOUT);
            self.await_token_error();
        }
        response.map_err(|error| self.explain(what, error))
    }

    /// Returns the low and high watermark of a partition. Blocks.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), AdminError> {
        self.request(format!("end of {topic}[{partition}]"), |client| {
            client.fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
        })
    }

    /// Returns the low and high watermark of partitions, in their order, with two requests to each broker that leads some of
    /// them. Blocks.
    ///
    /// librdkafka passes the timestamp that it is asked for on to the broker. -2 and -1, which are its offsets for "beginning"
    /// and "end", are the two that ask for the first offset and for one past the last:
    /// <https://kafka.apache.org/protocol#The_Messages_ListOffsets>.
    pub(crate) fn all_watermarks(
        &self,
        what: impl Fn() -> String,
        partitions: &[(String, i32)],
    ) -> Result<Vec<(i64, i64)>, AdminError> {
        let offsets = |wanted: Offset| {
            self.request(what(), |client| {
                let mut list = TopicPartitionList::with_capacity(partitions.len());
                for (topic, partition) in partitions {
                    list.add_partition_offset(topic, *partition, wanted)?;
                }
                let found = client.offsets_for_times(list, REQUEST_TIMEOUT)?;
                let offset = |(topic, partition): &(String, i32)| {
                    let element = found.find_partition(topic, *partition);
                    let element = element.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
                    element.error()?;
                    let offset = element.offset().to_raw().filter(|&offset| offset >= 0);
                    offset.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset))
                };
                partitions.iter().map(offset).collect::<Result<Vec<i64>, KafkaError>>()
            })
        };
        let (low, high) = (offsets(Offset::Beginning)?, offsets(Offset::End)?);
        Ok(low.into_iter().zip(high).collect())
    }

    /// Starts to read these partitions, and no others.
    pub(crate) fn assign(&self, what: &str, list: &TopicPartitionList) -> Result<(), AdminError> {
        self.client.assign(list).map_err(|error| self.explain(what, error))
    }

    /// Returns the next record or error; `None` after `timeout`.
    pub(crate) fn poll(&self, timeout: Duration) -> Option<Result<BorrowedMessage<'_>, KafkaError>> {
        self.client.poll(timeout)
    }

    /// Returns why the cluster cannot be used, if it is known.
    pub(crate) fn connection_error(&self) -> Option<ConnectionError> {
        self.connection.current_error()
    }

    /// Returns the last error that does not concern the connection, since [`MetadataClient::clear_read_errors`].
    pub(crate) fn last_read_error(&self) -> Option<String> {
        self.connection.read_errors().latest(&[], Duration::MAX, Instant::now())
    }

    /// Forgets earlier read errors, before the next read.
    pub(crate) fn clear_read_errors(&self) {
        self.connection.read_errors().clear();
    }

    /// Wraps an error, with its cause if the connection knows it.
    pub(crate) fn explain(&self, what: impl Into<String>, error: KafkaError) -> AdminError {
        match self.connection_error() {
            Some(error) => AdminError::Connection {
                what: what.into(),
                error: Box::new(error),
            },
            None => AdminError::request(what, &self.cluster)(error),
        }
    }

    /// Serves librdkafka's token request, if it has one. A new client has no token, and an older client's may have expired.
    pub(crate) fn acquire_token(&self) {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        self.serve_events(Duration::ZERO);
        while !self.connection.is_ready_to_connect() && Instant::now() < deadline {
            self.serve_events(EVENT_TIMEOUT);
        }
    }

    /// Serves events until the connection knows why the token is missing: on a busy machine the request may have failed before.
    fn await_token_error(&self) {
        let deadline = Instant::now() + TOKEN_ERROR_TIMEOUT;
        while matches!(self.cluster.security, Security::Identity(_))
            && self.connection_error().is_none()
            && self.connection.principal().is_none()
            && Instant::now() < deadline
        {
            self.serve_events(EVENT_TIMEOUT);
        }
    }

    fn serve_events(&self, timeout: Duration) {
        // A poll passes an error to the connection and also returns it.
        for _ in 0..MAX_EVENTS {
            if self.client.poll(timeout).is_none() {
                return;
            }
        }
    }
}

/// Repeats a request that the broker cannot serve yet: while a leader or a coordinator is elected, and before the client's
/// metadata contains a new topic. Blocks.
fn with_retries<T>(request: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let times = usize::try_from(REQUEST_TIMEOUT.as_millis() / RETRY_DELAY.as_millis()).unwrap_or(1);
    request
        .retry(ConstantBuilder::default().with_delay(RETRY_DELAY).with_max_times(times))
        .when(|error| {
            matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::NotLeaderForPartition
                        | RDKafkaErrorCode::LeaderNotAvailable
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::NotCoordinator
                        | RDKafkaErrorCode::CoordinatorNotAvailable
                        | RDKafkaErrorCode::CoordinatorLoadInProgress
                )
            )
        })
        .call()
}
