//! The dlq stage: writes an audit line for every dead letter and counts it by stage and category.

mod audit_line;
mod audit_log;

use std::sync::Arc;

use audit_line::{audit_line, labels};
use audit_log::AuditLog;
use xact_contracts::messages::DeadLetterRecord;
use xact_contracts::topology::Stage;
use xact_runtime::{Context, Emit, Factory, Failure, Handler, Limits, Outcome, Service, SetupError, Unavailable};
use xact_telemetry::metrics::metrics;

/// The handler.
pub struct Dlq {
    audit: AuditLog,
}

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let audit = AuditLog::open(settings.audit_log.as_deref()).map_err(SetupError::new)?;
        let limits = Limits::of_concurrency(Stage::Dlq.row().concurrency);
        Ok(Service::each(Dlq { audit }, limits))
    })
}

impl Handler for Dlq {
    const STAGE: Stage = Stage::Dlq;

    type Input = DeadLetterRecord;

    async fn handle(&self, record: &DeadLetterRecord, context: &Context) -> Result<Outcome<Self>, Failure> {
        let Some(line) = audit_line(record, context.now) else {
            return Ok(Emit::new().into());
        };
        let audit = self.audit.clone();
        tokio::task::spawn_blocking(move || audit.write(&line).map_err(|error| error.to_string()))
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|reason| Unavailable::new("audit log", reason))?;
        let [stage, category] = labels(record);
        metrics().dead_letters_audited(stage, category).inc();
        Ok(Emit::new().into())
    }
}
