//! The lambda-style runtime: a handler is a function, everything else is here, once, for all stages.
//!
//! Follow one message: [`consume`] polls it from its partition, [`work`] hands it to the stage's [`handler`],
//! [`disposition`] turns what came of it into messages, [`produce`] sends those and waits for their
//! acknowledgements, [`offsets`] finds the position up to which all is done, and [`consume`] commits it.
//!
//! Around that: [`config`] (variables), [`worker`] (one stage, restarted when it fails), [`process`] (a whole
//! process: signals, HTTP, telemetry), [`health`], [`metrics`], [`http`] with [`invoke`], [`topics`] (creation and
//! lag) and [`embedded`] (a broker in the process, for development). The operator's commands read topics with
//! [`topic_reader`], move groups with [`group_offsets`] and mark dead letters with [`tombstones`].
//!
//! Every Kafka client is made with a `connection`, which proves who the process is and knows why a cluster cannot be
//! reached; `trouble` has one text for each cause.
//!
//! This is the only crate that knows rdkafka.

pub mod backoff;
pub mod clock;
pub mod cluster;
mod commit_note;
pub mod config;
mod connection;
pub mod consume;
pub mod disposition;
pub mod embedded;
pub mod fail_points;
pub mod group_offsets;
pub mod handler;
pub mod health;
pub mod http;
pub mod invoke;
pub mod metrics;
pub mod offsets;
mod onlooker;
mod probe;
pub mod process;
pub mod produce;
mod read_errors;
pub mod record;
pub mod record_probe;
pub mod shutdown;
pub mod telemetry;
pub mod tombstones;
pub mod topic_reader;
pub mod topics;
pub mod trace_context;
mod trouble;
mod wake;
pub mod work;
pub mod worker;

pub use commit_note::{CommitNote, TablePositions};
pub use consume::Limits;
pub use handler::{
    AssignError, Assigned, Batch, BatchHandler, Context, Delivered, Emit, Failure, Handler, Outcome, Records, Refused,
    Starts, Unavailable,
};
pub use process::run;
pub use work::{BatchService, EachService, Service};
pub use worker::{Factory, SetupError};
