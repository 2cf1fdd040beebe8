//! The binary of the result-processor stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::ResultProcessor, result_processor::factory())
}
