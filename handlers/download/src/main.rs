//! The binary of the download stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    xact_runtime::run(Stage::Download, download::factory()).await
}
