//! The binary of the event-ingester stage, for its container.

use std::process::ExitCode;

use mimalloc::MiMalloc;

use xact_contracts::topology::Stage;

/// Thousands of records in flight, each with dozens of small blocks that are kept until its acknowledgement, are the worst case
/// of glibc's allocator: it took a fifth more CPU time. Other stages hold fewer records, and uploads took more memory with this one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    xact_runtime::run(Stage::EventIngester, event_ingester::factory())
}
