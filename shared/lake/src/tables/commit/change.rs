//! What a change of a table provides, and what a commit contains.

use std::collections::BTreeMap;

use deltalake::kernel::{Action, Add, Transaction as TransactionAction};
use deltalake::protocol::{DeltaOperation, SaveMode};

use crate::tables::error::TableErrorKind;
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::snapshot::Snapshot;
use xact_contracts::ids::AppId;

/// A change of a table, planned again for each version on which a commit of it is attempted.
pub(crate) trait Change: Send {
    /// What is reported when the change is done.
    type Outcome: Clone + Send;

    /// The state that the first plan needs.
    const PLANS_ON: PlansOn;

    /// Decides what to commit on this version of the table.
    fn plan(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> impl Future<Output = Result<Plan<Self::Outcome>, TableErrorKind>> + Send;

    /// Returns the data files that it has written and that a commit of its plan would name.
    fn staged_files(&self) -> Vec<Add>;

    /// Returns the outcome if there is no table. `None`: the table is created.
    fn outcome_without_table(&self) -> Option<Self::Outcome>;
}

/// The state of the table that a plan needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlansOn {
    /// The last known version, which takes no request. Enough for a plan that ends in a commit: if another writer has
    /// committed, the commit conflicts.
    LastKnown,
    /// The latest version. Needed where a plan may find nothing to do, which no conflict would correct.
    Latest,
}

/// What a change does on one version of the table.
pub(crate) enum Plan<T> {
    /// Nothing: the change is done.
    Done(T),
    /// A commit, and the outcome if it succeeds.
    Commit(Box<Contents>, T),
    /// A commit that has to come first. After it the change is planned again.
    CommitFirst(Box<Contents>),
}

/// What a commit contains.
pub(crate) struct Contents {
    pub(crate) actions: Vec<Action>,
    /// The next offset of each source that the commit moves; they become `txn` actions.
    pub(crate) positions: BTreeMap<AppId, i64>,
    /// How the log's history describes the commit.
    pub(crate) operation: DeltaOperation,
}

impl Contents {
    /// Returns contents described as an append of rows.
    pub(crate) fn append(actions: Vec<Action>, positions: BTreeMap<AppId, i64>) -> Self {
        Self {
            actions,
            positions,
            operation: DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: Some(vec![EVENT_DATE.to_owned()]),
                predicate: None,
            },
        }
    }

    /// Returns contents that move no position.
    pub(crate) fn without_positions(actions: Vec<Action>, operation: DeltaOperation) -> Self {
        Self {
            actions,
            positions: BTreeMap::new(),
            operation,
        }
    }

    /// Adds what every commit to this table must contain, and refuses what none may contain. After a restore the log still has
    /// the newer positions, so the next commit writes those of the restored version.
    pub(super) fn complete(&mut self, snapshot: &Snapshot) -> Result<(), TableErrorKind> {
        for (app_id, position) in &snapshot.restored {
            self.positions.entry(app_id.clone()).or_insert(*position);
        }
        let removes_rows = |action: &Action| matches!(action, Action::Remove(remove) if remove.data_change);
        match snapshot.features.refuse_removal() {
            Some(obstacle) if self.actions.iter().any(removes_rows) => Err(TableErrorKind::obstacles(&[obstacle])),
            _ => Ok(()),
        }
    }

    /// Returns all actions of the log entry except its `commitInfo`.
    pub(super) fn all_actions(&self) -> impl Iterator<Item = Action> {
        let positions = self.positions.iter();
        let positions = positions.map(|(app_id, next)| Action::Txn(TransactionAction::new(app_id, *next)));
        self.actions.iter().cloned().chain(positions)
    }
}
