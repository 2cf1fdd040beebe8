//! Whether the record at an offset can be read: for the operator's commands, as a stage's consumer would read it.
//!
//! Nobody's position moves. One client looks at one partition at a time, since librdkafka's errors do not name theirs.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::admin::metadata_client::MetadataClient;
use crate::admin::request::AdminError;
use crate::admin::topic_reader::TopicRecord;
use crate::client_config::READ_SETTINGS;
use crate::connection_error::is_authorization;
use xact_config::ClusterSettings;

/// Named because librdkafka wants a name, and never joined.
const PROBE: &str = "xact-pipeline-probe";

/// Longest wait for a record that the broker has. Of some damaged batches the client says nothing, and asks again.
const RECORD_TIMEOUT: Duration = Duration::from_secs(8);

/// The longest sleep until something comes.
const POLL: Duration = Duration::from_millis(100);

/// How reading from an offset ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The visitor had enough.
    Enough,
    /// The end of what may be read now.
    End,
    /// The records from an offset on cannot be read.
    Unreadable {
        /// The offset.
        at: i64,
        /// The client's reason.
        reason: String,
    },
}

/// What is found at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// The first record that is there or behind it.
    Record(TopicRecord),
    /// No record is there or behind it.
    End,
    /// What is there cannot be read, for this reason.
    Unreadable(String),
}

/// Looks at records of one cluster, one after the other, over one connection.
pub struct RecordProbe {
    client: MetadataClient,
}

impl RecordProbe {
    /// Makes the client; it connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn connect(cluster: &ClusterSettings) -> Result<Self, AdminError> {
        let own = [
            ("enable.auto.offset.store", "false"),
            // The end of a partition, also behind offsets that hold no record.
            ("enable.partition.eof", "true"),
            // An offset that is not there is an error, and no other place to begin at.
            ("auto.offset.reset", "error"),
            // One record is enough.
            ("queued.min.messages", "1"),
            ("fetch.error.backoff.ms", "100"),
        ];
        let settings: Vec<(&str, &str)> = own.into_iter().chain(READ_SETTINGS).collect();
        Ok(Self {
            client: MetadataClient::of_group(cluster, PROBE, &settings)?,
        })
    }

    /// Looks at one offset. Blocks.
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

    /// Hands the records from an offset on to `visit`, until it breaks off, or there are no more, or one cannot be read.
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
        let failed = |error| self.client.explain(what.clone(), error);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .map_err(failed)?;
        self.client.prepare();
        self.client.forget_errors();
        self.client.assign(&what, &list)?;
        let stop = self.poll(partition, offset, visit);
        self.client.assign(&what, &TopicPartitionList::new())?;
        match stop {
            Ok(stop) => Ok(stop),
            Err(error) => Err(failed(error)),
        }
    }

    fn poll(
        &self,
        partition: i32,
        offset: i64,
        mut visit: impl FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<Stop, KafkaError> {
        let mut next = offset;
        let mut heard = Instant::now();
        let mut last = None;
        loop {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    next = message.offset() + 1;
                    if visit(TopicRecord::of_message(&message)).is_break() {
                        return Ok(Stop::Enough);
                    }
                    heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(id))) if id == partition => return Ok(Stop::End),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if is_authorization(code) => return Err(error),
                    Some(code) if is_final(code) => {
                        let reason = self.client.last_error().unwrap_or_else(|| error.to_string());
                        return Ok(Stop::Unreadable { at: next, reason });
                    }
                    _ => last = Some(error),
                },
                None => {}
            }
            if heard.elapsed() > RECORD_TIMEOUT {
                // Without a connection, nothing is known of the record.
                return match (self.client.trouble(), last) {
                    (Some(_), error) => Err(error.unwrap_or(KafkaError::NoMessageReceived)),
                    (None, last) => {
                        let reason = self.client.last_error().or(last.map(|error| error.to_string()));
                        let silent = || {
                            format!(
                                "nothing came within {} s, and no error either: the record is damaged, or larger than it may be",
                                RECORD_TIMEOUT.as_secs()
                            )
                        };
                        Ok(Stop::Unreadable {
                            at: next,
                            reason: reason.unwrap_or_else(silent),
                        })
                    }
                };
            }
        }
    }
}

/// Whether asking again gives the same error.
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
