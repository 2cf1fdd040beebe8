//! The binary of the event-ingester stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::EventIngester, event_ingester::factory())
}
