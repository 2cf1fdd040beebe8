//! The lambda-style runtime: a handler is a function, and everything else is here once, for all stages.
//!
//! Follow one message: [`consume`] polls it from its partition, [`work`] passes it to the stage's [`handler`],
//! [`routing`] turns the outcome into records, the producer of `xact-kafka` sends them and waits for their
//! acknowledgements, [`offset_tracker`] finds the offset below which everything is done, and [`consume`] commits it.
//!
//! Around that: [`worker`] runs one stage and restarts it when it fails, [`process`] runs a whole process (signals, HTTP,
//! telemetry), [`http`] serves health and metrics, and [`invoke`] accepts messages over HTTP instead of Kafka.

pub mod clock;
pub mod consume;
mod emit;
pub mod fail_points;
pub mod handler;
pub mod http;
pub mod invoke;
pub mod offset_tracker;
mod probe;
pub mod process;
pub mod routing;
pub mod shutdown;
mod size_limit;
pub mod work;
pub mod worker;

pub use consume::Limits;
pub use emit::Emit;
pub use handler::{
    AssignError, Assigned, Batch, BatchHandler, Context, Delivered, Failure, Handler, Outcome, Records, Refused,
    Starts, Unavailable,
};
pub use process::run;
pub use size_limit::MAX_VALUE_BYTES;
pub use work::{BatchService, EachService, Service};
pub use worker::{Factory, SetupError};
pub use xact_kafka::{CommitMetadata, TablePositions};
