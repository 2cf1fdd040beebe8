//! The binary of the dlq stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::Dlq, dlq::factory())
}
