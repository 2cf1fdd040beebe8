//! Every stage with the handler that serves it.

use xact_contracts::topology::Stage;
use xact_runtime::Factory;

/// Returns the factory of a stage's handler.
pub(crate) fn factory(stage: Stage) -> Factory {
    match stage {
        Stage::EventIngester => event_ingester::factory(),
        Stage::EventWriter => event_writer::factory(),
        Stage::Download => download::factory(),
        Stage::Upload => upload::factory(),
        Stage::ResultProcessor => result_processor::factory(),
        Stage::RetryScheduler => retry_scheduler::factory(),
        Stage::Dlq => dlq::factory(),
    }
}
