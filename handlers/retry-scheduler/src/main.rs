//! The retry-scheduler handler's own binary, for its container.

use contracts::topology::Stage;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run(Stage::RetryScheduler, retry_scheduler::factory()).await
}
