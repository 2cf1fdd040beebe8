//! Files and commits at the latency of OneLake, each beside a bare loop of the same requests in the same run.
//!
//! The OneLake emulator adds the latency to each request and counts what it answers. It runs in a thread of this process,
//! on a runtime of its own. The product's half calls the lake crate as the stages do, without Kafka.
//!
//! - [`place`]: the emulator, and connections to it
//! - [`raw`]: the bare requests
//! - [`files`], by `FileStore::put_file`
//! - [`commits`], by `Table::append`, with one owner of the table and with several

mod commits;
mod files;
mod place;
mod raw;

use std::time::Duration;

use crate::report::Report;
use place::{Place, other};
use xact_testkit::Result;

pub(crate) fn measure(latency: Duration, report: &mut Report) -> Result<()> {
    let place = Place::start(latency)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| other("a runtime", &error))?;
    runtime.block_on(async {
        files::measure(&place, report).await?;
        commits::measure(&place, report).await
    })
}
