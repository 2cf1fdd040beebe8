//! The state of every table, each read by itself: one that cannot be read hides no other.

use super::{Maintenance, TableAnswer, TableOutcome, of};
use crate::error::{OperationError, refuse};
use xact_config::Settings;
use xact_lake::{AttachmentRow, EventRow, FailedRow, ReconciliationRow, TableRow};

/// The state of a table, or why it cannot be read.
#[derive(Debug)]
pub struct StateOf {
    /// The table's name.
    pub table: &'static str,
    /// Its state.
    pub answer: Result<TableAnswer, OperationError>,
}

/// Reads the state of every table at the same time. `xact_reconciliation` is left out if it is not configured, or does not
/// exist: only `reconcile --record` writes it.
///
/// # Errors
/// When the settings write no tables.
pub async fn states(settings: &Settings) -> Result<Vec<StateOf>, OperationError> {
    if !settings.delta_writes {
        return refuse("ENABLE_DELTA_WRITES=false: these settings write no tables. Set it to true to see them");
    }
    let reconciliation = async {
        if settings.reconciliation_table.is_empty() {
            return None;
        }
        let answer = of::<ReconciliationRow>(settings, Maintenance::Info).await;
        let is_missing = |answer: &TableAnswer| matches!(answer.outcome, TableOutcome::Missing { .. });
        (!answer.as_ref().is_ok_and(is_missing)).then_some(answer)
    };
    let (events, attachments, failed, reconciliation) = tokio::join!(
        of::<EventRow>(settings, Maintenance::Info),
        of::<AttachmentRow>(settings, Maintenance::Info),
        of::<FailedRow>(settings, Maintenance::Info),
        reconciliation,
    );
    let answers = [
        (EventRow::NAME, Some(events)),
        (AttachmentRow::NAME, Some(attachments)),
        (FailedRow::NAME, Some(failed)),
        (ReconciliationRow::NAME, reconciliation),
    ];
    let states = answers
        .into_iter()
        .filter_map(|(table, answer)| Some(StateOf { table, answer: answer? }));
    Ok(states.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_config::Environment;

    #[tokio::test]
    async fn a_damaged_table_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        for (variable, table) in [
            ("DELTA_EVENTS_TABLE_PATH", "xact_events"),
            ("DELTA_INVENTORY_TABLE_PATH", "xact_attachments"),
            ("DELTA_FAILED_TABLE_PATH", "xact_attachments_failed"),
            ("DELTA_RECONCILIATION_TABLE_PATH", "xact_reconciliation"),
        ] {
            environment.set(variable, folder.path().join(table).display().to_string());
        }
        let log = folder.path().join("xact_attachments/_delta_log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("00000000000000000000.json"), "not JSON").unwrap();
        let settings = Settings::from_environment(&environment).unwrap();
        let states = states(&settings).await.unwrap();
        let found: Vec<_> = states.iter().map(|state| (state.table, state.answer.is_ok())).collect();
        let expected = [
            ("xact_events", true),
            ("xact_attachments", false),
            ("xact_attachments_failed", true),
        ];
        assert_eq!(found, expected, "{states:?}");
    }
}
