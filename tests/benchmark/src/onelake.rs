//! Measures files and commits at the latency of OneLake, each next to a bare loop of the same requests in the same run.
//!
//! The OneLake emulator adds the latency to each request and counts its responses. It runs in a thread of this process on
//! its own runtime. The half of the product calls the lake crate as the stages do, without Kafka.
//!
//! - [`emulator`]: the emulator, and clients of it
//! - [`raw`]: the bare requests
//! - [`files`], by `FileStore::put_file`
//! - [`commits`], by `Table::append`, with one owner of the table and with several

mod commits;
pub(crate) mod emulator;
mod files;
mod raw;

use std::time::Duration;

use crate::report::Report;
use emulator::Emulator;
use xact_testkit::{Result, context};

pub(crate) fn measure(latency: Duration, report: &mut Report) -> Result<()> {
    let emulator = Emulator::start(latency)?;
    let runtime = tokio::runtime::Runtime::new().map_err(context("a runtime"))?;
    runtime.block_on(async {
        files::measure(&emulator, report).await?;
        commits::measure(&emulator, report).await
    })
}
