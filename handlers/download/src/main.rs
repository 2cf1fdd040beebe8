//! The binary of the download stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::Download, download::factory())
}
