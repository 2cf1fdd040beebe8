//! A client that asks a cluster questions and joins no group: for operators' commands, and for looking at lag.
//!
//! librdkafka answers a question that failed with "timed out" or "transport failure", and tells why in events of its own;
//! and it asks for a token by such an event as well, before which it does not even connect. Both are looked at here.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::admin::request::{AdminError, REQUEST_TIMEOUT, with_retries};
use crate::client_config;
use crate::connection::Connection;
use xact_config::ClusterSettings;

/// How long events are looked for after a question failed: those that explain it came before the answer.
const EVENTS: Duration = Duration::from_millis(50);

/// Events that one look takes at most.
const MOST_EVENTS: usize = 100;

/// The client.
pub(crate) struct MetadataClient {
    client: BaseConsumer<Connection>,
    connection: Connection,
    cluster: ClusterSettings,
}

impl MetadataClient {
    /// A client that asks for metadata; connects in the background.
    pub(crate) fn new(cluster: &ClusterSettings) -> Result<Self, AdminError> {
        Self::make(cluster, client_config::client(cluster), &[])
    }

    /// One that may read, and speak of this group's positions, with further settings of librdkafka.
    pub(crate) fn of_group(
        cluster: &ClusterSettings,
        group: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, AdminError> {
        let mut config = client_config::client(cluster);
        // librdkafka wants a group for whatever reads; without a subscription it is never joined.
        config.set("group.id", group).set("enable.auto.commit", "false");
        Self::make(cluster, config, settings)
    }

    fn make(
        cluster: &ClusterSettings,
        mut config: ClientConfig,
        settings: &[(&str, &str)],
    ) -> Result<Self, AdminError> {
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let connection = Connection::of_metadata_client(cluster);
        let client = config.create_with_context(connection.clone());
        Ok(Self {
            client: client.map_err(AdminError::broker("the client cannot be made", cluster))?,
            connection,
            cluster: cluster.clone(),
        })
    }

    /// Asks until there is an answer, for a while. Blocks. Not while anything is assigned: records would be lost.
    pub(crate) fn ask<T>(
        &self,
        what: impl Into<String>,
        question: impl Fn(&BaseConsumer<Connection>) -> Result<T, KafkaError>,
    ) -> Result<T, AdminError> {
        self.prepare();
        let answer = with_retries(|| question(&self.client));
        if answer.is_err() {
            self.serve(EVENTS);
        }
        answer.map_err(|error| self.explain(what, error))
    }

    /// First offset and end of a partition. Blocks.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), AdminError> {
        self.ask(format!("end of {topic}[{partition}]"), |client| {
            client.fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
        })
    }

    /// Reads these partitions from here on.
    pub(crate) fn assign(&self, what: &str, list: &TopicPartitionList) -> Result<(), AdminError> {
        self.client.assign(list).map_err(|error| self.explain(what, error))
    }

    /// The next record or error, or nothing for a while.
    pub(crate) fn poll(&self, wait: Duration) -> Option<Result<BorrowedMessage<'_>, KafkaError>> {
        self.client.poll(wait)
    }

    /// What is known of why nothing comes.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.connection.trouble().map(|trouble| trouble.to_string())
    }

    /// The last error that is none of the connection's, since [`MetadataClient::forget_errors`].
    pub(crate) fn last_error(&self) -> Option<String> {
        self.connection.read_errors().latest(&[], Duration::MAX, Instant::now())
    }

    /// Before another question.
    pub(crate) fn forget_errors(&self) {
        self.connection.read_errors().clear();
    }

    /// The error with what is known of its cause.
    pub(crate) fn explain(&self, what: impl Into<String>, error: KafkaError) -> AdminError {
        match self.trouble() {
            Some(trouble) => AdminError::Trouble {
                what: what.into(),
                trouble,
            },
            None => AdminError::broker(what, &self.cluster)(error),
        }
    }

    /// Hands over a token where one is needed: a new client has none, and an old one's may be over.
    pub(crate) fn prepare(&self) {
        let until = Instant::now() + REQUEST_TIMEOUT;
        self.serve(Duration::ZERO);
        while !self.connection.is_prepared() && Instant::now() < until {
            self.serve(EVENTS);
        }
    }

    fn serve(&self, wait: Duration) {
        // An error is handed to the connection on its way, and returned as well.
        for _ in 0..MOST_EVENTS {
            if self.client.poll(wait).is_none() {
                return;
            }
        }
    }
}
