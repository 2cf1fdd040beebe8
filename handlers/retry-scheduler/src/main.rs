//! The binary of the retry-scheduler stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::RetryScheduler, retry_scheduler::factory())
}
