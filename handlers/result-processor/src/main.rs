//! The result-processor handler's own binary, for its container.

use contracts::topology::Stage;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run(Stage::ResultProcessor, result_processor::factory()).await
}
