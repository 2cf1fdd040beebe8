//! How far each source has been written: the `txn` versions in the table's log, read with as little of it as possible.

use std::collections::{BTreeMap, HashMap};

use deltalake::DeltaTable;
use serde::Deserialize;

use crate::TableError;

/// Beyond this many commits by others, asking the snapshot is cheaper than reading them one by one.
const TAIL_COMMITS: u64 = 20;

/// The `txn` versions known for one version of the table.
///
/// Asking the snapshot re-reads the log since the last checkpoint, once per app id. So what was learnt is kept, and
/// carried forward through the few commits that others have made since.
#[derive(Default)]
pub(crate) struct Positions {
    version: Option<u64>,
    /// `None`: the table has no position for that app id.
    known: HashMap<String, Option<i64>>,
}

/// The part of a log line that matters here. Everything else in it is skipped.
#[derive(Deserialize)]
struct LogLine {
    txn: Option<Txn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

impl Positions {
    /// The next offset of each app id that the table, as loaded, has one for.
    pub(crate) async fn of(
        &mut self,
        table: &DeltaTable,
        at: &str,
        app_ids: &[String],
    ) -> Result<BTreeMap<String, i64>, TableError> {
        self.carry_forward(table).await;
        let mut found = BTreeMap::new();
        for app_id in app_ids {
            let position = match self.known.get(app_id) {
                Some(position) => *position,
                None => {
                    let position = ask(table, at, app_id).await?;
                    self.known.insert(app_id.clone(), position);
                    position
                }
            };
            found.extend(position.map(|position| (app_id.clone(), position)));
        }
        Ok(found)
    }

    /// Takes note of a commit of ours.
    pub(crate) fn committed(&mut self, version: u64, advanced: &BTreeMap<String, i64>) {
        if self.version.is_some_and(|known| known + 1 == version) {
            self.version = Some(version);
            self.known
                .extend(advanced.iter().map(|(app_id, next)| (app_id.clone(), Some(*next))));
        }
    }

    /// Brings what is known to the table's version, or forgets it.
    async fn carry_forward(&mut self, table: &DeltaTable) {
        let version = table.version();
        let (Some(known), Some(now)) = (self.version, version) else {
            self.version = version;
            self.known.clear();
            return;
        };
        if now == known {
            return;
        }
        self.version = version;
        // An older version than we knew is another table at the same place.
        if now < known || now - known > TAIL_COMMITS || self.read_tail(table, known + 1, now).await.is_none() {
            self.known.clear();
        }
    }

    /// `None` if a commit cannot be read, for whatever reason: then the snapshot is asked, which says why.
    async fn read_tail(&mut self, table: &DeltaTable, from: u64, to: u64) -> Option<()> {
        for version in from..=to {
            let commit = table.log_store().read_commit_entry(version).await.ok()??;
            for line in commit
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
            {
                if let Some(txn) = serde_json::from_slice::<LogLine>(line).ok()?.txn {
                    self.known.insert(txn.app_id, Some(txn.version));
                }
            }
        }
        Some(())
    }
}

async fn ask(table: &DeltaTable, at: &str, app_id: &str) -> Result<Option<i64>, TableError> {
    let read = async { table.snapshot()?.transaction_version(&table.log_store(), app_id).await };
    read.await
        .map_err(|error| TableError::delta(at, "read the positions of", &error))
}
