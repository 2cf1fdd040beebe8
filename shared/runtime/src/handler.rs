//! The interface of handlers. A handler is a function of typed messages: it returns their outcome.
//!
//! Consumers, producers, offsets, topic names and retry counts belong to the runtime. The same handler serves Kafka,
//! `POST /invoke`, tests and `--dev`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use crate::emit::{Emit, Emitter};
use xact_contracts::category::Category;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{Message, Problem, SourceRecord};
use xact_contracts::topology::Stage;
use xact_kafka::{CommitMetadata, TablePositions};

/// What a handler receives in addition to the message.
#[derive(Debug, Clone)]
pub struct Context {
    /// The current time.
    pub now: Timestamp,
    /// When the record was written. It replaces the timestamp of an event without one.
    pub record_timestamp: Option<Timestamp>,
}

/// A stage that handles its messages one by one, and many concurrently.
pub trait Handler: Send + Sync + Sized + 'static {
    /// The stage that it implements.
    const STAGE: Stage;

    /// The message that it reads.
    type Input: Message + Sync;

    /// Handles one message. It may be called again with the same message: after a crash, a rebalance, or while a dependency
    /// is unavailable.
    fn handle(
        &self,
        input: &Self::Input,
        context: &Context,
    ) -> impl Future<Output = Result<Outcome<Self>, Failure>> + Send;

    /// Runs concurrently with the messages until the worker ends, for periodic tasks. Most stages have none.
    fn upkeep(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

impl<H: Handler> Emitter for H {
    const STAGE: Stage = <H as Handler>::STAGE;
}

/// A stage that makes many messages durable together.
pub trait BatchHandler: Send + Sync + 'static {
    /// The stage that it implements.
    const STAGE: Stage;

    /// The message that it reads.
    type Input: Message + Sync;

    /// Called with the newly assigned partitions before their first record is read. Returns where to start those that must
    /// not start at [`Assigned::start`]. An error stops the worker: it is for positions that disagree, so that continuing
    /// would silently skip messages.
    fn assigned(&self, partitions: &[Assigned]) -> impl Future<Output = Result<Starts, AssignError>> + Send {
        let _ = partitions;
        async { Ok(Starts::new()) }
    }

    /// Returns the position of each of the stage's tables for a partition, after the batches handled so far. It is committed
    /// together with the offset. A stage without tables returns none.
    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        let _ = app_id;
        TablePositions::new()
    }

    /// Makes a batch durable. Returns the rejected records; all others are durable then.
    fn handle(
        &self,
        batch: &Batch<'_, Self::Input>,
        context: &Context,
    ) -> impl Future<Output = Result<Vec<Refused>, Unavailable>> + Send;
}

/// The outcome of a message.
pub enum Outcome<H> {
    /// Done, with messages for the stages downstream.
    Emit(Emit<H>),
    /// Not due before this time. The runtime holds the message until then and calls the handler again.
    NotBefore(Timestamp),
}

// Not derived, because a handler need not implement `Debug`.
impl<H> fmt::Debug for Outcome<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emit(emit) => f.debug_tuple("Emit").field(emit).finish(),
            Self::NotBefore(due) => f.debug_tuple("NotBefore").field(due).finish(),
        }
    }
}

impl<H> From<Emit<H>> for Outcome<H> {
    fn from(emit: Emit<H>) -> Self {
        Self::Emit(emit)
    }
}

/// Why a message was not handled.
#[derive(Debug)]
pub enum Failure {
    /// The message itself failed. It is retried or dead-lettered.
    Message {
        /// Category and text of the failure.
        problem: Problem,
        /// The delay that the server requested (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// A dependency is unavailable. The message is kept and tried again until it is back.
    Unavailable(Unavailable),
}

impl Failure {
    /// Returns the failure of a message itself.
    #[must_use]
    pub fn message(category: Category, text: impl AsRef<str>) -> Self {
        Problem::new(category, text).into()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Message {
            problem,
            retry_after: None,
        }
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// A dependency (OneLake, a table, the cache volume) is unavailable. Readiness reports it until it is back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{dependency}: {reason}")]
pub struct Unavailable {
    /// The dependency's name in readiness and logs.
    pub dependency: &'static str,
    /// What is wrong and what to do about it, redacted.
    pub reason: String,
    /// What happens to the records of this call.
    pub records: Records,
}

/// What happens to records while a dependency is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// They are kept and tried again.
    Kept,
    /// They are dropped. The stage's partitions are assigned again, and [`BatchHandler::assigned`] returns where to start. For
    /// a table that was restored to a version before these records.
    ReadAgain,
}

impl Unavailable {
    /// Creates the error; the records are kept.
    #[must_use]
    pub fn new(dependency: &'static str, reason: impl AsRef<str>) -> Self {
        Self {
            dependency,
            reason: xact_contracts::redaction::redact_text(reason.as_ref()),
            records: Records::Kept,
        }
    }

    /// Returns the same error for records before which earlier ones must be read again.
    #[must_use]
    pub fn reading_again(self) -> Self {
        Self {
            records: Records::ReadAgain,
            ..self
        }
    }
}

/// A stage cannot start to read its partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// A dependency is unavailable. The stage is asked again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// An operator must intervene.
    #[error("{0}")]
    Refused(String),
}

/// Where to start instead of at [`Assigned::start`], by [`Assigned::app_id`].
pub type Starts = BTreeMap<AppId, i64>;

/// A partition that a stage is about to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Consumer group, topic and partition as one name.
    pub app_id: AppId,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The group's committed offset.
    pub committed: Option<i64>,
    /// The metadata of the committed offset.
    pub metadata: Option<CommitMetadata>,
    /// Where reading starts: at the committed offset, or else where the configuration says.
    pub start: i64,
    /// The first available offset of the partition (low watermark).
    pub first: i64,
    /// One past the last offset of the partition (high watermark).
    pub end: i64,
}

/// Records for a [`BatchHandler`].
#[derive(Debug)]
pub struct Batch<'a, I> {
    /// In the order of their offsets within each partition.
    pub records: Vec<&'a Delivered<I>>,
    /// The next offset of each partition in the batch, unreadable records included. The tables store it together with the
    /// rows. Empty for a batch of `/invoke`.
    pub positions: BTreeMap<AppId, i64>,
}

/// One readable record of a batch.
#[derive(Debug)]
pub struct Delivered<I> {
    /// The message.
    pub input: I,
    /// Where it was read.
    pub source: SourceRecord,
    /// When the record was written.
    pub record_timestamp: Option<Timestamp>,
    /// The partition of the record; `None` for a record of `/invoke`.
    pub app_id: Option<AppId>,
}

/// A record of a batch that can never become durable.
#[derive(Debug)]
pub struct Refused {
    /// Index in [`Batch::records`].
    pub index: usize,
    /// Why.
    pub problem: Problem,
}
