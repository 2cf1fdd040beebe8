//! The one idea: a handler is a function. It is given typed messages and says what came of them.
//!
//! It never sees a consumer, a producer, an offset, a topic name or a retry count to increment: all that is the
//! runtime's. The same handler serves Kafka, `POST /invoke`, tests and `--dev`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

use xact_contracts::category::Category;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{CachedDownload, DownloadResult, DownloadTask, Message, Problem, Source};
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
pub trait Handler: Send + Sync + 'static {
    /// What it reads.
    type Input: Message;

    /// Handles one message. May be called again with the same message at any time: after a crash, a rebalance, or
    /// a failed dependency.
    fn handle(&self, input: Self::Input, context: &Context) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Runs beside the messages until the worker ends: for upkeep. Most stages have none.
    fn upkeep(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// A stage that makes many messages durable at once.
pub trait BatchHandler: Send + Sync + 'static {
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
#[derive(Debug)]
pub enum Outcome {
    /// Done, with messages for the stages downstream.
    Emit(Emit),
    /// Not to be done before this time: the runtime holds the message until then and asks again.
    NotBefore(Timestamp),
}

/// Messages for the stages downstream.
#[derive(Default)]
pub struct Emit {
    pub(crate) messages: Vec<Emitted>,
    pub(crate) then: Option<AfterDelivery>,
}

/// Runs once the broker has acknowledged everything that was emitted.
pub(crate) type AfterDelivery = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit")
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

/// One message for a stage downstream; its type decides the topic.
#[derive(Debug)]
pub(crate) enum Emitted {
    Task(DownloadTask),
    Cached(CachedDownload),
    Result(DownloadResult),
    /// One attachment failed while the message as a whole did not.
    Failed(DownloadTask, Problem),
}

impl Emit {
    /// Nothing to send on.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A task that is due now.
    #[must_use]
    pub fn task(mut self, task: DownloadTask) -> Self {
        self.messages.push(Emitted::Task(task));
        self
    }

    /// A file that waits in the cache.
    #[must_use]
    pub fn cached(mut self, cached: CachedDownload) -> Self {
        self.messages.push(Emitted::Cached(cached));
        self
    }

    /// What became of an attachment.
    #[must_use]
    pub fn result(mut self, result: DownloadResult) -> Self {
        self.messages.push(Emitted::Result(result));
        self
    }

    /// An attachment that failed on its own: dead letter and result, or a retry, by the one table.
    #[must_use]
    pub fn failed(mut self, task: DownloadTask, problem: Problem) -> Self {
        self.messages.push(Emitted::Failed(task, problem));
        self
    }

    /// What to do once the broker has acknowledged all of it, and not before: to forget what a redelivery would
    /// need. It must be short, and harmless when it never comes to it.
    #[must_use]
    pub fn then(mut self, after: impl Future<Output = ()> + Send + 'static) -> Self {
        self.then = Some(Box::pin(after));
        self
    }
}

impl From<Emit> for Outcome {
    fn from(emit: Emit) -> Self {
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
    pub source: Source,
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
