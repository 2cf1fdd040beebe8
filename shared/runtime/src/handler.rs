//! The one idea: a handler is a function. It is given typed messages and says what came of them.
//!
//! It never sees a consumer, a producer, an offset, a topic name or a retry count to increment: all that is the
//! runtime's. The same handler serves Kafka, `POST /invoke`, tests and `--dev`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use crate::emit::Emit;
use xact_contracts::category::Category;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{Message, Problem, SourceRecord};
use xact_contracts::topology::Stage;
use xact_kafka::commit_note::{CommitNote, TablePositions};

/// What a handler may know about the message besides its content.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time.
    pub now: Timestamp,
    /// When the record was written: stands in for a timestamp that an event lacks.
    pub record_timestamp: Option<Timestamp>,
}

/// A stage that handles its messages one by one, many at the same time.
pub trait Handler: Send + Sync + Sized + 'static {
    /// The stage that it implements.
    const STAGE: Stage;

    /// The message that it reads.
    type Input: Message + Sync;

    /// Handles one message. May be called again with the same message at any time: after a crash, a rebalance, or
    /// a failed dependency.
    fn handle(
        &self,
        input: &Self::Input,
        context: &Context,
    ) -> impl Future<Output = Result<Outcome<Self>, Failure>> + Send;

    /// Runs beside the messages until the worker ends: for upkeep. Most stages have none.
    fn upkeep(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// A stage that makes many messages durable at once.
pub trait BatchHandler: Send + Sync + 'static {
    /// The stage that it implements.
    const STAGE: Stage;

    /// What it reads.
    type Input: Message + Sync;

    /// Told which partitions it is about to read, before their first record, and answers where to begin with those that
    /// it wants from elsewhere. An error stops the worker: it is for positions that disagree, where going on would skip
    /// messages in silence.
    fn assigned(&self, partitions: &[Assigned]) -> impl Future<Output = Result<Starts, AssignError>> + Send {
        let _ = partitions;
        async { Ok(Starts::new()) }
    }

    /// The position that each of its tables has for a partition (`{group}:{topic}:{partition}`) after the batches handled
    /// so far. It is kept beside the committed offset. A stage without tables has none.
    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        let _ = app_id;
        TablePositions::new()
    }

    /// Makes a batch durable. Returns the records that it refuses; all others are durable when it returns.
    fn handle(
        &self,
        batch: &Batch<'_, Self::Input>,
        context: &Context,
    ) -> impl Future<Output = Result<Vec<Refused>, Unavailable>> + Send;
}

/// What came of a message.
pub enum Outcome<H> {
    /// Done, with messages for the stages downstream.
    Emit(Emit<H>),
    /// Not to be done before this time: the runtime holds the message until then and calls the handler again.
    NotBefore(Timestamp),
}

// Not derived: a handler need not implement `Debug`.
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
    /// The message's own trouble: retried or dead-lettered.
    Message {
        /// What is written down about it.
        problem: Problem,
        /// What the server asked to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// A dependency's trouble: the message is kept and tried again until the dependency is back.
    Unavailable(Unavailable),
}

impl Failure {
    /// The message's own trouble.
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

/// A dependency that is not there: OneLake, a table, the cache volume. Shown in readiness until it is back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{dependency}: {reason}")]
pub struct Unavailable {
    /// Its name in readiness and logs.
    pub dependency: &'static str,
    /// What is wrong and what to do about it; redacted.
    pub reason: String,
    /// What becomes of the records at hand.
    pub records: Records,
}

/// What becomes of records while a dependency is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// They are kept and tried again.
    Kept,
    /// They are let go: the stage's partitions are assigned anew, and [`BatchHandler::assigned`] says where to begin. For a
    /// table that was taken back behind what was read already.
    ReadAgain,
}

impl Unavailable {
    /// A dependency that is not there.
    #[must_use]
    pub fn new(dependency: &'static str, reason: impl AsRef<str>) -> Self {
        Self {
            dependency,
            reason: xact_contracts::redaction::redact_text(reason.as_ref()),
            records: Records::Kept,
        }
    }

    /// The same, but earlier records have to be read first.
    #[must_use]
    pub fn reading_again(self) -> Self {
        Self {
            records: Records::ReadAgain,
            ..self
        }
    }
}

/// Why a stage cannot begin to read its partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// It may be well later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// An operator must decide.
    #[error("{0}")]
    Refused(String),
}

/// Where to begin, by [`Assigned::app_id`], instead of at [`Assigned::start`].
pub type Starts = BTreeMap<AppId, i64>;

/// A partition that a stage is about to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Consumer group, topic and partition as one name: `{group}:{topic}:{partition}`.
    pub app_id: AppId,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The group's committed offset.
    pub committed: Option<i64>,
    /// What was noted beside it.
    pub note: Option<CommitNote>,
    /// Where reading begins: at the committed offset, else where the configuration says.
    pub start: i64,
    /// The first record that the topic partition still has, or would have.
    pub first: i64,
    /// One past the last record of the topic partition now.
    pub end: i64,
}

/// Records for a [`BatchHandler`].
#[derive(Debug)]
pub struct Batch<'a, I> {
    /// In the order of their offsets within each partition.
    pub records: Vec<&'a Delivered<I>>,
    /// For each `{group}:{topic}:{partition}` in the batch the next offset, unreadable records counted: what the
    /// tables remember together with the rows. Empty for a batch that did not come from the topic (`/invoke`).
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
    /// `{group}:{topic}:{partition}`; `None` when it did not come from the topic.
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
