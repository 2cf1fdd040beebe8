//! Why a group is not shown or not moved.

use jiff::Timestamp;

use crate::delivery::SendError;
use xact_contracts::time;
use xact_kafka::ProducerError;
use xact_kafka::admin::AdminError;
use xact_lake::TableError;
use xact_table_sink::OpenTableError;

/// Reasons why a group is not shown or not moved.
#[derive(Debug, thiserror::Error)]
pub enum OffsetsError {
    /// No stage has this group.
    #[error("there is no group {group:?}; the pipeline's groups are {}", .known.join(", "))]
    UnknownGroup {
        /// The group.
        group: String,
        /// The groups that exist.
        known: Vec<String>,
    },
    /// None of the topics of the group exists.
    #[error("none of the topics of group {0} exists: create them (`topics create`), or check the topic names")]
    NoTopics(String),
    /// The group does not read the topic.
    #[error("group {group} does not read {topic:?}; it reads {}", .known.join(", "))]
    UnknownTopic {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The topics that it reads.
        known: Vec<String>,
    },
    /// The topics do not have the partition.
    #[error("there is no partition {partition} in {}", .topics.join(", "))]
    UnknownPartition {
        /// The partition.
        partition: i32,
        /// The topics.
        topics: Vec<String>,
    },
    /// The group has members.
    #[error(
        "group {group} has {} members ({}): stop every {stage} worker first (a killed one is a member for another {session_seconds} s), then run this again",
        .members.len(),
        .members.join(", ")
    )]
    HasMembers {
        /// The group.
        group: String,
        /// Its stage.
        stage: &'static str,
        /// Its members: client and host.
        members: Vec<String>,
        /// The session timeout.
        session_seconds: u64,
    },
    /// The broker does not report the members of the group.
    #[error("the broker does not report whether group {0} has members, so its positions are not changed")]
    UnknownMembers(String),
    /// The target offset is outside of a partition.
    #[error(
        "offset {offset} is not in {topic}[{partition}], which holds {low} to {high}: choose another, or one partition with --topic and --partition"
    )]
    OutOfRange {
        /// The target.
        offset: i64,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset.
        low: i64,
        /// One past the last record.
        high: i64,
    },
    /// The target time is in the future.
    #[error("{} is in the future: `--to latest` skips all existing records", time::format(*.0))]
    InFuture(Timestamp),
    /// The group does not read the partition.
    #[error(
        "group {group} does not read partition {partition} of {topic:?}: see `xact-pipeline offsets show --group {group}`"
    )]
    NotRead {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A skip has no reason.
    #[error("--reason must not be empty: it is written to the dead letters")]
    NoReason,
    /// The group has no committed offset.
    #[error("group {group} has no committed offset in {topic}[{partition}]: its workers commit one when they start")]
    NotCommitted {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The skip does not begin at the position of the group.
    #[error(
        "group {group} is at offset {position} of {topic}[{partition}], not at {offset}: only what it reads next can be skipped. Pass \
         --offset {position}"
    )]
    NotNext {
        /// The group.
        group: String,
        /// Its position.
        position: i64,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset where the skip would begin.
        offset: i64,
    },
    /// The skip does not end within the partition.
    #[error("{topic}[{partition}] holds offsets up to {high}: --to must be from {first} to {high}")]
    BadEnd {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first end that is allowed.
        first: i64,
        /// One past the last record.
        high: i64,
    },
    /// There is nothing to skip.
    #[error("there is no record from this offset on: nothing to skip")]
    NothingToSkip,
    /// More records than one command skips.
    #[error("there are more than {limit} records before offset {to}: skip fewer at once (--count, --to)")]
    TooManyRecords {
        /// The maximum.
        limit: usize,
        /// The end.
        to: i64,
    },
    /// A broker cannot be reached or refuses.
    #[error(transparent)]
    Kafka(#[from] AdminError),
    /// The producer cannot be created.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// A dead letter was not acknowledged.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A table cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenTableError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
}
