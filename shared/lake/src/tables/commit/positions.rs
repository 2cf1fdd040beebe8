//! Positions: how far the table has the rows of each source.

use std::collections::BTreeMap;

use deltalake::kernel::Add;

use crate::tables::commit::change::{Change, Contents, Plan, PlansOn};
use crate::tables::commit::transaction::Transaction;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::Snapshot;
use crate::tables::table::Table;
use xact_contracts::ids::AppId;

impl<R: TableRow> Table<R> {
    /// Returns the next offset of each of the app ids that has one: as the latest commit left it, or, after the table
    /// was restored to an earlier version, as it was then. A table that does not exist has none.
    ///
    /// Also remembers these positions as known to the caller. An append that finds a position behind the remembered one
    /// reports that the table was restored.
    ///
    /// # Errors
    /// [`TableError`], if the log cannot be read.
    pub async fn positions(&self, app_ids: &[AppId]) -> Result<BTreeMap<AppId, i64>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(mut snapshot) = handle.latest().await? else {
                return Ok(BTreeMap::new());
            };
            let positions = snapshot.positions(app_ids).await?;
            handle.keep(snapshot);
            for app_id in app_ids {
                match positions.get(app_id) {
                    Some(position) => handle.written.insert(app_id.clone(), *position),
                    None => handle.written.remove(app_id),
                };
            }
            Ok(positions)
        })
        .await
    }

    /// Sets positions to these values, back as well as forward, in a commit without rows. For an operator's decision
    /// when the table and the topic disagree. Rows are not duplicated by it, because their keys are looked up. Nothing
    /// is committed if the positions have these values already.
    ///
    /// # Errors
    /// [`TableError`]. The positions may be set all the same; repeating is safe.
    pub async fn set_positions(&self, positions: &BTreeMap<AppId, i64>) -> Result<(), TableError> {
        if positions.is_empty() {
            return Ok(());
        }
        self.located(async {
            let mut handle = self.handle.lock().await;
            let mut change = SetPositions(positions);
            Transaction::new(&mut handle, &mut change).run().await?;
            handle.written.extend(positions.clone());
            Ok(())
        })
        .await
    }
}

struct SetPositions<'a>(&'a BTreeMap<AppId, i64>);

impl Change for SetPositions<'_> {
    type Outcome = ();

    const PLANS_ON: PlansOn = PlansOn::Latest;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<()>, TableErrorKind> {
        let app_ids: Vec<AppId> = self.0.keys().cloned().collect();
        if snapshot.positions(&app_ids).await? == *self.0 {
            return Ok(Plan::Done(()));
        }
        let contents = Contents::append(Vec::new(), self.0.clone());
        Ok(Plan::Commit(Box::new(contents), ()))
    }

    fn staged_files(&self) -> Vec<Add> {
        Vec::new()
    }

    fn outcome_without_table(&self) -> Option<()> {
        None
    }
}
