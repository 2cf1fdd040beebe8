//! What pages have read from tables and topics, kept for a minute.

use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use super::cached::{Cached, MAX_AGE};
use super::layout::time;
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

/// Returns when something was read, what that cost, and how old it may become.
pub(super) fn read_at(at: Timestamp, cost: &str) -> Markup {
    html! { p.cost { "Read at " (time(at)) ". " (cost) " It is read again when somebody looks after " (MAX_AGE.as_secs()) " seconds." } }
}
