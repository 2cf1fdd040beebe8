//! The dlq handler: writes an audit line for every dead letter and counts it by stage and category.

mod audit;
mod letter;

use std::sync::Arc;

use audit::AuditLog;
use letter::Letter;
use xact_contracts::topology::Stage;
use xact_runtime::{Context, EachService, Emit, Factory, Failure, Handler, Limits, Outcome, SetupError, Unavailable};
use xact_telemetry::metrics::metrics;

/// The handler.
pub struct Dlq {
    audit: AuditLog,
}

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let audit = AuditLog::open(settings.audit_log.as_deref()).map_err(SetupError::new)?;
        let limits = Limits::of_concurrency(Stage::Dlq.row().concurrency);
        Ok(EachService::new(Stage::Dlq, Dlq { audit }, limits))
    })
}

impl Handler for Dlq {
    type Input = Letter;

    async fn handle(&self, letter: Letter, context: &Context) -> Result<Outcome, Failure> {
        if let Letter::Tombstone = letter {
            return Ok(Emit::nothing().into());
        }
        let line = letter.audit_line(context.now);
        let audit = self.audit.clone();
        tokio::task::spawn_blocking(move || audit.write(&line).map_err(|error| error.to_string()))
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|reason| Unavailable::new("audit log", reason))?;
        let (stage, category) = letter.labels();
        metrics()
            .dead_letters_audited
            .with_label_values(&[stage, category])
            .inc();
        Ok(Emit::nothing().into())
    }
}
