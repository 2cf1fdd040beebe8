//! The dlq handler's own binary, for its container.

use contracts::topology::Stage;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run(Stage::Dlq, dlq::factory()).await
}
