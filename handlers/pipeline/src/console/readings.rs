//! What pages have read from tables and topics, kept for a minute.

use jiff::civil::Date;

use super::cached::Cached;
use xact_operations::reconcile::{History, Reconciliation};
use xact_operations::tables::{StateOf, UpkeepPlan};

/// The readings of the pages about tables.
#[derive(Default)]
pub(super) struct Readings {
    /// Recorded reconciliations, by first and last date.
    pub(super) history: Cached<(Date, Date), History>,
    /// The reconciliation of today.
    pub(super) today: Cached<Date, Reconciled>,
    pub(super) tables: Cached<(), Vec<StateOf>>,
    pub(super) plan: Cached<(), UpkeepPlan>,
}

/// A reconciliation, and how long it took.
pub(super) struct Reconciled {
    pub(super) reconciliation: Reconciliation,
    pub(super) seconds: f64,
}

impl Readings {
    /// A reconciliation was recorded.
    pub(super) fn recorded(&self) {
        self.history.forget();
        self.maintained();
    }

    /// Tables were changed.
    pub(super) fn maintained(&self) {
        self.tables.forget();
        self.plan.forget();
    }
}
