//! Reading: one thread a worker polls its partitions, hands the records on, and commits what is done.
//!
//! librdkafka calls back on the polling thread, so it is a thread of its own: a rebalance may wait there for work
//! that runs on the async threads. It reads ahead within bounds (records, bytes, offsets behind a slow record) and
//! pauses partitions beyond them, polling on all the while, so that a slow message never costs group membership.
//!
//! The thread does not look for work at intervals: librdkafka's queue, work that ends and the process's drain wake it.

mod begin;
mod errors;
mod flow;
mod gaps;
mod hooks;
mod leave;
mod partition;
mod pause;
mod poller;
mod prime;
mod refusal;
mod stuck;

pub(crate) use begin::Begin;
pub use flow::Limits;
pub(crate) use flow::Outstanding;
pub(crate) use partition::{Partition, Running};
pub(crate) use poller::{Consumer, Subscription};

use std::sync::Arc;

use xact_kafka::record::Record;

/// A record that was taken from its partition: whoever holds it must see it done, or leave it when the partition is
/// revoked.
pub(crate) struct Taken {
    /// The record.
    pub(crate) record: Record,
    /// Its partition, as long as it is ours.
    pub(crate) partition: Arc<Partition>,
    /// Counts it as held in memory.
    pub(crate) _outstanding: Outstanding,
}

/// Where taken records go: into a task each, or into the next batch.
pub(crate) trait Sink: Send {
    /// Must not block: called on the polling thread.
    fn take(&self, taken: Taken);
}
