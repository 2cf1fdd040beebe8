//! The result-processor handler's own binary, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    xact_runtime::run(Stage::ResultProcessor, result_processor::factory()).await
}
