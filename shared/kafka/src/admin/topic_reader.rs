//! Reads every record that a topic holds now, without joining a group and without committing.
//!
//! Records are passed on one at a time, so memory stays small for a topic of any size.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::admin::error::AdminError;
use crate::admin::metadata_client::{MetadataClient, REQUEST_TIMEOUT};
use crate::record::written_at;
use xact_config::ClusterSettings;

/// Longest wait for the next record of a partition that has more.
const DATA_TIMEOUT: Duration = Duration::from_secs(30);

/// librdkafka requires a group; the client never joins it.
const GROUP: &str = "xact-pipeline-reader";

/// A record with all of its parts. Unlike [`crate::Record`], it distinguishes a null value from an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The broker's or the producer's timestamp.
    pub timestamp: Option<Timestamp>,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; see [`Self::is_tombstone`].
    pub value: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl TopicRecord {
    pub(crate) fn of_message(message: &BorrowedMessage<'_>) -> Self {
        let owned = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter().map(owned));
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: written_at(message),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.collect(),
        }
    }

    /// Returns whether the value is null, or empty: Event Hubs may return a null value as an empty one.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.value.as_deref().unwrap_or_default().is_empty()
    }

    /// Returns the first header of this name, if it is valid UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// Returns the key, if it is valid UTF-8.
    #[must_use]
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }
}

/// The offsets of a partition from `low` up to, but not including, `high`. Some of them may hold no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First offset that is still available.
    pub low: i64,
    /// One past the last offset.
    pub high: i64,
}

/// Reads the records that a topic held when the reader was opened.
pub struct TopicReader {
    client: MetadataClient,
    bootstrap: String,
    topic: String,
    spans: BTreeMap<i32, Span>,
}

impl TopicReader {
    /// Fetches the partitions and their watermarks. Blocks.
    ///
    /// # Errors
    /// When the broker cannot be reached or the topic does not exist.
    pub fn open(cluster: &ClusterSettings, topic: &str) -> Result<Self, AdminError> {
        let settings = [
            ("enable.auto.offset.store", "false"),
            // Reports the end of a partition, also when its last offsets hold no record.
            ("enable.partition.eof", "true"),
            // Retention may delete the first records after the watermarks were fetched.
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.message.max.bytes", "1048576"),
        ];
        let client = MetadataClient::for_group(cluster, GROUP, &settings)?;
        let metadata = client.request(format!("topic {topic} cannot be read"), |client| {
            client.fetch_metadata(Some(topic), REQUEST_TIMEOUT)
        })?;
        let found = metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic && found.error().is_none() && !found.partitions().is_empty())
            .ok_or_else(|| AdminError::MissingTopic {
                topic: topic.to_owned(),
                bootstrap: cluster.bootstrap_servers.clone(),
            })?;
        let mut spans = BTreeMap::new();
        for partition in found.partitions() {
            let partition = partition.id();
            let (low, high) = client.watermarks(topic, partition)?;
            spans.insert(partition, Span { low, high });
        }
        Ok(Self {
            client,
            bootstrap: cluster.bootstrap_servers.clone(),
            topic: topic.to_owned(),
            spans,
        })
    }

    /// Returns the offsets of each partition when the reader was opened, without those that [`Self::begin_at`] excludes.
    #[must_use]
    pub fn spans(&self) -> &BTreeMap<i32, Span> {
        &self.spans
    }

    /// Excludes the offsets before `offset`.
    pub fn begin_at(&mut self, partition: i32, offset: i64) {
        if let Some(span) = self.spans.get_mut(&partition) {
            span.low = span.low.max(offset);
        }
    }

    /// Passes every record to `visit`, those of a partition in order, until all are read or it breaks off. Records that are
    /// written meanwhile are not read. Blocks. Another call reads the same records again.
    ///
    /// # Errors
    /// When the broker sends no data: the records visited so far are incomplete.
    pub fn read(&self, mut visit: impl FnMut(TopicRecord) -> ControlFlow<()>) -> Result<(), AdminError> {
        let what = format!("topic {} cannot be read", self.topic);
        let mut left: BTreeMap<i32, i64> = BTreeMap::new();
        let mut begin = TopicPartitionList::new();
        for (&partition, span) in self.spans.iter().filter(|(_, span)| span.low < span.high) {
            left.insert(partition, span.high);
            begin
                .add_partition_offset(&self.topic, partition, Offset::Offset(span.low))
                .map_err(|error| self.client.explain(&what, error))?;
        }
        if left.is_empty() {
            return Ok(());
        }
        let assign = |list: &TopicPartitionList| self.client.assign(&what, list);
        assign(&begin)?;
        let read = self.read_to(&mut left, &mut visit);
        assign(&TopicPartitionList::new())?;
        read
    }

    /// Polls until no partition is left.
    fn read_to(
        &self,
        left: &mut BTreeMap<i32, i64>,
        visit: &mut impl FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<(), AdminError> {
        let mut last_data_at = Instant::now();
        let mut reason = None;
        while !left.is_empty() {
            match self.client.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    if let Some(&high) = left.get(&partition) {
                        if offset < high && visit(TopicRecord::of_message(&message)).is_break() {
                            return Ok(());
                        }
                        if offset + 1 >= high {
                            left.remove(&partition);
                        }
                    }
                    // The time that the visitor took does not count as a wait for data.
                    last_data_at = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    last_data_at = Instant::now();
                    left.remove(&partition);
                }
                Some(Err(error)) => reason = Some(error.to_string()),
                None => {}
            }
            if last_data_at.elapsed() > DATA_TIMEOUT {
                let connection_error = self.client.connection_error().map(|error| error.to_string());
                let reason = connection_error.or(reason);
                return Err(AdminError::NoData {
                    topic: self.topic.clone(),
                    partitions: left.keys().copied().collect(),
                    seconds: DATA_TIMEOUT.as_secs(),
                    bootstrap: self.bootstrap.clone(),
                    reason: reason.unwrap_or_else(|| "no error was reported".to_owned()),
                });
            }
        }
        Ok(())
    }
}
