//! Tests whether the record at an offset can be read with the settings of a stage's consumer.
//!
//! No committed offset changes. A client reads one partition at a time, because librdkafka's errors do not name theirs.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::admin::error::AdminError;
use crate::admin::metadata_client::MetadataClient;
use crate::admin::topic_reader::TopicRecord;
use crate::client_config::READ_SETTINGS;
use crate::connection_error::is_authorization_error;
use xact_config::ClusterSettings;

/// librdkafka requires a group; the client never joins it.
const GROUP: &str = "xact-pipeline-probe";

/// Longest wait for a record that the broker has. For some damaged batches librdkafka reports no error and retries forever.
const RECORD_TIMEOUT: Duration = Duration::from_secs(8);

const POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// Why a read from an offset ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The visitor broke off.
    Enough,
    /// All records that can be read now were read.
    End,
    /// The records from an offset on cannot be read.
    Unreadable {
        /// The offset.
        at: i64,
        /// The client's reason.
        reason: String,
    },
}

/// What a partition holds at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// The first record at the offset or after it.
    Record(TopicRecord),
    /// There is no record at the offset or after it.
    End,
    /// The record cannot be read, for this reason.
    Unreadable(String),
}

/// Reads single records of one cluster.
pub struct RecordProbe {
    client: MetadataClient,
}

impl RecordProbe {
    /// Creates the client, which connects in the background.
    ///
    /// # Errors
    /// When librdkafka rejects the settings.
    pub fn connect(cluster: &ClusterSettings) -> Result<Self, AdminError> {
        let own = [
            ("enable.auto.offset.store", "false"),
            // Reports the end of a partition, also when its last offsets hold no record.
            ("enable.partition.eof", "true"),
            // A missing offset is an error. The client must not continue elsewhere.
            ("auto.offset.reset", "error"),
            // One record is enough.
            ("queued.min.messages", "1"),
            ("fetch.error.backoff.ms", "100"),
        ];
        let settings: Vec<(&str, &str)> = own.into_iter().chain(READ_SETTINGS).collect();
        Ok(Self {
            client: MetadataClient::for_group(cluster, GROUP, &settings)?,
        })
    }

    /// Reads the record at an offset, or the first one after it. Blocks.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn read(&self, topic: &str, partition: i32, offset: i64) -> Result<Probed, AdminError> {
        let mut found = None;
        let stop = self.read_from(topic, partition, offset, |record| {
            found = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(match (found, stop) {
            (Some(record), _) => Probed::Record(record),
            (None, Stop::Unreadable { reason, .. }) => Probed::Unreadable(reason),
            (None, Stop::Enough | Stop::End) => Probed::End,
        })
    }

    /// Passes the records from an offset on to `visit`, until it breaks off, or there are no more, or one cannot be read.
    /// Blocks.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn read_from(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        visit: impl FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<Stop, AdminError> {
        let what = format!("offset {offset} of {topic}[{partition}] cannot be read");
        let failed = |error| self.client.explain(&what, error);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .map_err(failed)?;
        self.client.acquire_token();
        self.client.clear_read_errors();
        self.client.assign(&what, &list)?;
        let stop = self.poll(partition, offset, visit);
        self.client.assign(&what, &TopicPartitionList::new())?;
        stop.map_err(failed)
    }

    fn poll(
        &self,
        partition: i32,
        offset: i64,
        mut visit: impl FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<Stop, KafkaError> {
        let mut next = offset;
        let mut last_record_at = Instant::now();
        let mut last_error = None;
        loop {
            match self.client.poll(POLL_TIMEOUT) {
                Some(Ok(message)) => {
                    next = message.offset() + 1;
                    if visit(TopicRecord::of_message(&message)).is_break() {
                        return Ok(Stop::Enough);
                    }
                    last_record_at = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(id))) if id == partition => return Ok(Stop::End),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if is_authorization_error(code) => return Err(error),
                    Some(code) if is_final(code) => {
                        let reason = self.client.last_read_error().unwrap_or_else(|| error.to_string());
                        return Ok(Stop::Unreadable { at: next, reason });
                    }
                    _ => last_error = Some(error),
                },
                None => {}
            }
            if last_record_at.elapsed() > RECORD_TIMEOUT {
                // A connection error says nothing about the record.
                return match (self.client.connection_error(), last_error) {
                    (Some(_), error) => Err(error.unwrap_or(KafkaError::NoMessageReceived)),
                    (None, last) => {
                        let no_reason = || {
                            let seconds = RECORD_TIMEOUT.as_secs();
                            format!(
                                "neither a record nor an error within {seconds} s: the record is damaged, or larger than allowed"
                            )
                        };
                        let reason = self.client.last_read_error().or(last.map(|error| error.to_string()));
                        let reason = reason.unwrap_or_else(no_reason);
                        Ok(Stop::Unreadable { at: next, reason })
                    }
                };
            }
        }
    }
}

/// Whether another attempt returns the same error.
const fn is_final(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotImplemented
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
    )
}
