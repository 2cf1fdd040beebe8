//! The lambda-style runtime: a handler is a function, and everything else is here once, for all stages.
//!
//! One message, followed through the modules: `consume` polls it from its partition, `work` passes it to the stage's
//! [`Handler`], `routing` turns the [`Outcome`] into records, the producer of `xact-kafka` sends them and waits for their
//! acknowledgements, and `consume` commits the offset before which everything is done.
//!
//! Around that, `worker` runs one stage and restarts it after a failure, [`process`] runs a whole process (signals, HTTP,
//! telemetry), `http` serves health, metrics and `POST /invoke`, and `invoke` reads its records.

mod consume;
mod emit;
pub mod fail_points;
mod handler;
mod http;
mod invoke;
mod probe;
pub mod process;
mod routing;
pub mod shutdown;
mod size_limit;
#[cfg(feature = "testing")]
pub mod testing;
mod work;
mod worker;

pub use consume::Limits;
pub use emit::{Emit, Emitter};
pub use handler::{
    AssignError, Assigned, Batch, BatchHandler, Context, Delivered, Failure, Handler, Outcome, Records, Refused,
    Starts, Unavailable,
};
pub use http::{PortError, serve};
pub use probe::{ProbeError, probe_liveness};
pub use process::run;
pub use work::Service;
pub use worker::{Factory, SetupError, Shared};
pub use xact_kafka::{CommitMetadata, TablePositions};
