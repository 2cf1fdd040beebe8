//! The binary of the event-writer stage, for its container.

use std::process::ExitCode;

use xact_contracts::topology::Stage;

fn main() -> ExitCode {
    xact_runtime::run(Stage::EventWriter, event_writer::factory())
}
