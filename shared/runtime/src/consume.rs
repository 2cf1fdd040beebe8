//! Consuming: one thread per worker polls its partitions, passes records on to the stage's work, and commits what is done.
//!
//! librdkafka runs its callbacks on the polling thread. This is a thread of its own, because a rebalance waits there for
//! work that runs on the async threads. The thread reads ahead within limits (records, bytes, offsets after a slow record),
//! pauses partitions beyond them, and keeps polling, so that a slow message never costs the group membership.
//!
//! [`poll_loop`] is the loop; each of its steps is a file: [`assignment`] resolves start positions, [`back_pressure`] pauses
//! and resumes, [`commit`] commits, [`drain`] ends. [`partition`] tracks the work on one partition, [`in_flight`] the memory
//! of all. [`callbacks`] is what librdkafka calls. The thread sleeps until librdkafka's queue, completed work or a drain
//! wakes it.

mod assignment;
mod authorization_failure;
mod back_pressure;
mod callbacks;
mod commit;
mod consumer;
mod drain;
mod error;
mod in_flight;
mod limits;
mod offset_gaps;
mod offset_tracker;
mod partition;
mod poll_loop;
mod start_positions;
mod stuck_partitions;

pub(crate) use assignment::StageStarts;
pub(crate) use consumer::{Consumer, Subscription};
pub(crate) use error::ConsumeError;
#[cfg(test)]
pub(crate) use in_flight::Memory;
pub(crate) use in_flight::{InFlight, Lease, Sink};
pub use limits::Limits;
#[cfg(test)]
pub(crate) use partition::Partition;
pub(crate) use partition::Running;
