//! Reading a topic as an onlooker: every record that is there now, without a group, without a commit.
//!
//! For the operator's commands. Nobody's position moves, and a record costs memory only while it is looked at.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::admin::metadata_client::MetadataClient;
use crate::admin::request::{AdminError, REQUEST_TIMEOUT};
use xact_config::ClusterSettings;

/// Longest silence of a broker that has records for us.
const SILENCE: Duration = Duration::from_secs(30);

/// Named because librdkafka wants a name, and never joined.
const READER: &str = "xact-pipeline-reader";

/// A record as it is in the topic. Unlike [`crate::record::Record`] it tells a missing value from an empty one.
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
    /// Value; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl TopicRecord {
    pub(crate) fn of_message(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let owned = headers.iter().map(|header| {
                let value = header.value.map(<[u8]>::to_vec);
                (header.key.to_owned(), value)
            });
            owned.collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message
                .timestamp()
                .to_millis()
                .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// The first header of this name, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The key, where it is text.
    #[must_use]
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }
}

/// The records of a partition: from `low`, up to and without `high`. There may be gaps between them, also at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First offset that is still there.
    pub low: i64,
    /// One past the last offset.
    pub high: i64,
}

/// What a topic holds at one moment.
pub struct TopicReader {
    client: MetadataClient,
    cluster: ClusterSettings,
    topic: String,
    spans: BTreeMap<i32, Span>,
}

impl TopicReader {
    /// Asks for the partitions and where they begin and end now. Blocks.
    ///
    /// # Errors
    /// When the broker cannot be reached or there is no such topic.
    pub fn open(cluster: &ClusterSettings, topic: &str) -> Result<Self, AdminError> {
        let settings = [
            ("enable.auto.offset.store", "false"),
            // The end of a partition, also behind gaps that hold no record.
            ("enable.partition.eof", "true"),
            // Retention may have taken the first records between two questions.
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.message.max.bytes", "1048576"),
        ];
        let client = MetadataClient::of_group(cluster, READER, &settings)?;
        let metadata = client.ask(format!("topic {topic} cannot be read"), |client| {
            client.fetch_metadata(Some(topic), REQUEST_TIMEOUT)
        })?;
        let found = metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic && found.error().is_none() && !found.partitions().is_empty())
            .ok_or_else(|| AdminError::Missing {
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
            cluster: cluster.clone(),
            topic: topic.to_owned(),
            spans,
        })
    }

    /// Each partition with what it held when the reader was opened, less what was left out since.
    #[must_use]
    pub fn spans(&self) -> &BTreeMap<i32, Span> {
        &self.spans
    }

    /// Leaves out what is before an offset.
    pub fn begin_at(&mut self, partition: i32, offset: i64) {
        if let Some(span) = self.spans.get_mut(&partition) {
            span.low = span.low.max(offset);
        }
    }

    /// Hands every record to `visit`, a partition's in their order, until all are read or it breaks off. Records that
    /// are written meanwhile are not read. Blocks. It may be called again: it reads the same records again.
    ///
    /// # Errors
    /// When the broker falls silent: what was visited so far is not all.
    pub fn read(&self, mut visit: impl FnMut(TopicRecord) -> ControlFlow<()>) -> Result<(), AdminError> {
        let mut left: BTreeMap<i32, i64> = BTreeMap::new();
        let mut begin = TopicPartitionList::new();
        for (&partition, span) in self.spans.iter().filter(|(_, span)| span.low < span.high) {
            left.insert(partition, span.high);
            begin
                .add_partition_offset(&self.topic, partition, Offset::Offset(span.low))
                .map_err(AdminError::broker(format!("begin of {}", self.topic), &self.cluster))?;
        }
        if left.is_empty() {
            return Ok(());
        }
        let what = format!("topic {} cannot be read", self.topic);
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
        let mut heard = Instant::now();
        let mut reason = None;
        while !left.is_empty() {
            match self.client.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(&high) = left.get(&partition) else {
                        continue;
                    };
                    if offset < high && visit(TopicRecord::of_message(&message)).is_break() {
                        return Ok(());
                    }
                    if offset + 1 >= high {
                        left.remove(&partition);
                    }
                    // A visitor may take its time: silence begins when it is done.
                    heard = heard.max(Instant::now());
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    heard = Instant::now();
                    left.remove(&partition);
                }
                Some(Err(error)) => reason = Some(error.to_string()),
                None => {}
            }
            if heard.elapsed() > SILENCE {
                return Err(AdminError::Silent {
                    topic: self.topic.clone(),
                    partitions: left.keys().copied().collect(),
                    seconds: SILENCE.as_secs(),
                    bootstrap: self.cluster.bootstrap_servers.clone(),
                    reason: self
                        .client
                        .trouble()
                        .or(reason)
                        .unwrap_or_else(|| "no answer".to_owned()),
                });
            }
        }
        Ok(())
    }
}
