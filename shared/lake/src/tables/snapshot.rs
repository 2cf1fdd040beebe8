//! The state of a table at one version, as far as this crate needs it: which data files there are, and how far each
//! source has been written.
//!
//! It is loaded once through deltalake, and then moved on by the commits that follow: this process's own, whose actions
//! are known, and those of others, whose log entries are read by name (`{version}.json`) until one is absent. So a writer
//! that has the table for itself reads and lists nothing. deltalake's own snapshot lists the log for each update and
//! keeps every commit's actions, which is why a handle grew with each commit.
//!
//! A change of the table's schema or protocol cannot be carried over: then the table is loaded again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Add};
use deltalake::logstore::object_store::path::Path;
use futures::TryStreamExt;
use futures::future::try_join_all;
use jiff::civil::Date;
use serde::Deserialize;

use crate::tables::error::TableError;
use crate::tables::features;
use crate::tables::features::{Features, Obstacle};
use crate::tables::log_entry::{commit_info, file_path, parse, read_entry};
use crate::tables::rows::row::EVENT_DATE;
use crate::tables::rows::row::TableRow;
use xact_contracts::ids::AppId;

/// Log entries that are read before the table is rather loaded again, which takes a listing and reads its checkpoint.
const MAX_ENTRIES_READ: u64 = 32;
/// Log entries that are asked for at the same time, at most.
const MAX_ENTRIES_AT_ONCE: u64 = 8;

/// A data file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Relative to the table.
    pub(crate) path: Path,
    pub(crate) bytes: u64,
    /// `None` if its writer did not count them.
    pub(crate) rows: Option<usize>,
    /// `None` for the partition of rows without a date.
    pub(crate) date: Option<Date>,
    /// Some of its rows count as deleted, and only the vector says which.
    pub(crate) has_deletion_vector: bool,
}

/// A loaded table.
pub(crate) struct Snapshot {
    /// The table's location, for errors.
    pub(crate) at: String,
    /// The version of this state.
    pub(crate) version: u64,
    /// As it was loaded, perhaps at an earlier version: schema, protocol, properties and storage.
    pub(crate) table: DeltaTable,
    /// What the table asks of its writers.
    pub(crate) features: Features,
    files: HashMap<Path, Arc<DataFile>>,
    /// `txn` versions by app id. `None`: the table has none. Missing: not asked for yet.
    positions: HashMap<AppId, Option<i64>>,
    /// Positions that are not those of the log: see `restored`. The next commit writes them down.
    restored: BTreeMap<AppId, i64>,
    /// The time that the last commit carries, in a table whose commits do.
    last_commit_at: Option<i64>,
}

/// What following the log has led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// This is the latest version.
    Latest,
    /// The table has to be loaded again.
    Outdated,
}

impl Snapshot {
    /// The state of a table that is loaded.
    pub(crate) async fn of<R: TableRow>(table: DeltaTable, at: &str) -> Result<Self, TableError> {
        let failed = |error| TableError::delta(at, "read the file list of", &error);
        let loaded = table.snapshot().map_err(failed)?;
        let version = loaded.version();
        let ours: BTreeSet<String> = R::delta_schema()
            .into_iter()
            .map(|field| field.name().clone())
            .collect();
        let features = Features::of(loaded, &ours).map_err(|error| TableError::corrupt(at, error))?;
        let last_commit_at = match features.has_in_commit_timestamps {
            true => read_entry(&table, version, at)
                .await?
                .and_then(|entry| commit_info(&entry)?.in_commit_timestamp),
            false => None,
        };
        let mut files = HashMap::new();
        let mut views = table.get_active_add_actions_by_partitions(&[]);
        while let Some(view) = views.try_next().await.map_err(failed)? {
            let file = DataFile {
                path: view.object_store_path(),
                bytes: bytes(view.size(), at)?,
                rows: view.num_records(),
                date: date(&view.partition_values_map(), at)?,
                has_deletion_vector: view.deletion_vector_descriptor().is_some(),
            };
            files.insert(file.path.clone(), Arc::new(file));
        }
        drop(views);
        Ok(Self {
            at: at.to_owned(),
            version,
            table,
            features,
            files,
            positions: HashMap::new(),
            restored: BTreeMap::new(),
            last_commit_at,
        })
    }

    /// Why nothing can be appended; nothing in the usual case.
    pub(crate) fn obstacles(&self) -> Vec<Obstacle> {
        let vector = self
            .files
            .values()
            .filter(|file| file.has_deletion_vector)
            .map(|file| &file.path)
            .min();
        let vector = vector.map(|path| features::deletion_vector(path.as_ref()));
        self.features.obstacles.iter().cloned().chain(vector).collect()
    }

    /// Refuses a table that cannot be appended to.
    pub(crate) fn check_writable(&self) -> Result<(), TableError> {
        let obstacles = self.obstacles();
        if obstacles.is_empty() {
            return Ok(());
        }
        Err(TableError::obstacles(&self.at, &obstacles))
    }

    /// The paths of its files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys()
    }

    /// Takes these positions for the table's, until a commit has written them down.
    pub(crate) fn set_restored(&mut self, positions: BTreeMap<AppId, i64>) {
        let known = positions
            .iter()
            .map(|(app_id, position)| (app_id.clone(), Some(*position)));
        self.positions.extend(known);
        self.restored = positions;
    }

    /// Positions that the next commit must write down, whatever else it does.
    pub(crate) fn restored(&self) -> &BTreeMap<AppId, i64> {
        &self.restored
    }

    /// The time of a commit that follows, in milliseconds, if this table's commits carry one. It is later than the last.
    pub(crate) fn next_in_commit_timestamp(&self, now: i64) -> Option<i64> {
        let after_last = self.last_commit_at.map_or(now, |last| now.max(last + 1));
        self.features.has_in_commit_timestamps.then_some(after_last)
    }

    /// The files of the dates in a range, both ends included, or all; in no order.
    pub(crate) fn files_between(&self, range: Option<(Date, Date)>) -> Vec<Arc<DataFile>> {
        let is_within = |file: &&Arc<DataFile>| match range {
            None => true,
            Some((from, to)) => file.date.is_some_and(|date| from <= date && date <= to),
        };
        self.files.values().filter(is_within).cloned().collect()
    }

    /// The next offset of each of the app ids that the table has one for.
    pub(crate) async fn positions(&mut self, app_ids: &[AppId]) -> Result<BTreeMap<AppId, i64>, TableError> {
        let mut found = BTreeMap::new();
        for app_id in app_ids {
            let position = match self.positions.get(app_id) {
                Some(position) => *position,
                None => {
                    let position = self.ask_position(app_id).await?;
                    self.positions.insert(app_id.clone(), position);
                    position
                }
            };
            found.extend(position.map(|position| (app_id.clone(), position)));
        }
        Ok(found)
    }

    /// The state with what another one of the same version knows of positions, which need not be asked for again.
    pub(crate) fn with_positions_of(mut self, other: Self) -> Self {
        if self.version == other.version {
            self.positions = other.positions;
        }
        self
    }

    /// As of the version that was loaded: a later commit of this app id would be noted.
    async fn ask_position(&self, app_id: &AppId) -> Result<Option<i64>, TableError> {
        let read = async {
            let loaded = self.table.snapshot()?;
            loaded.transaction_version(&self.table.log_store(), app_id).await
        };
        read.await
            .map_err(|error| TableError::delta(&self.at, "read the positions of", &error))
    }

    /// Moves on by the commit of the next version. False if it cannot be carried over.
    pub(crate) fn apply(&mut self, actions: &[Action]) -> Result<bool, TableError> {
        let changes_table = |action: &Action| matches!(action, Action::Metadata(_) | Action::Protocol(_));
        if actions.iter().any(changes_table) {
            return Ok(false);
        }
        // Removes first: an action list has no order, and a commit may replace a file's own entry.
        for action in actions {
            if let Action::Remove(remove) = action {
                self.files.remove(&file_path(&remove.path));
            }
        }
        for action in actions {
            match action {
                Action::Add(add) => {
                    let file = self.data_file(add)?;
                    self.files.insert(file.path.clone(), Arc::new(file));
                }
                Action::Txn(txn) => {
                    self.positions.insert(txn.app_id.as_str().into(), Some(txn.version));
                    self.restored.remove(txn.app_id.as_str());
                }
                Action::CommitInfo(info) => self.last_commit_at = info.in_commit_timestamp,
                _ => {}
            }
        }
        self.version += 1;
        Ok(true)
    }

    fn data_file(&self, add: &Add) -> Result<DataFile, TableError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Statistics {
            num_records: Option<usize>,
        }
        let path = file_path(&add.path);
        let statistics = add.stats.as_deref().map(serde_json::from_str::<Statistics>);
        Ok(DataFile {
            bytes: bytes(add.size, &self.at)?,
            rows: statistics
                .and_then(Result::ok)
                .and_then(|statistics| statistics.num_records),
            date: date(&add.partition_values, &self.at)?,
            has_deletion_vector: add.deletion_vector.is_some(),
            path,
        })
    }

    /// Moves on by the log entries that others have added since, read by name.
    pub(crate) async fn follow_log(&mut self) -> Result<Followed, TableError> {
        let first = self.version + 1;
        let mut at_once = 1;
        loop {
            let next = self.version + 1;
            if next - first >= MAX_ENTRIES_READ {
                return Ok(Followed::Outdated);
            }
            let entries = (next..next + at_once).map(|version| read_entry(&self.table, version, &self.at));
            for entry in try_join_all(entries).await? {
                let Some(entry) = entry else {
                    return Ok(Followed::Latest);
                };
                // What a restore means for the positions is found out when the table is loaded.
                let is_restore = commit_info(&entry).is_some_and(|info| info.is_restore());
                match parse(&entry) {
                    Some(actions) if !is_restore && self.apply(&actions)? => {}
                    _ => return Ok(Followed::Outdated),
                }
            }
            // One, one, two, four, eight: a request too many is cheap, one after the other is slow.
            at_once = (self.version + 1 - first).clamp(1, MAX_ENTRIES_AT_ONCE);
        }
    }
}

fn bytes(size: i64, at: &str) -> Result<u64, TableError> {
    u64::try_from(size).map_err(|_| TableError::corrupt(at, format!("a data file has the size {size}")))
}

fn date(partition: &HashMap<String, Option<String>>, at: &str) -> Result<Option<Date>, TableError> {
    let Some(text) = partition.get(EVENT_DATE).and_then(Option::as_ref) else {
        return Ok(None);
    };
    let date = text
        .parse()
        .map_err(|error| TableError::corrupt(at, format!("a data file has the partition {text:?}: {error}")))?;
    Ok(Some(date))
}
