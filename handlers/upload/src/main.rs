//! The binary of the upload stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::Upload, upload::factory())
}
