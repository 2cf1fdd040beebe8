//! The state of a table at one version, as far as this crate needs it: its data files, and the position of each source.
//!
//! It is loaded once through deltalake, and then updated with the commits that follow: this process's own, whose actions
//! are known, and those of other writers, whose log entries are read by name (`{version}.json`) until one is absent. A
//! writer that has the table to itself therefore reads and lists nothing. deltalake's own snapshot is not kept: it lists
//! the log for each update and keeps every commit's actions, so that its memory grows with every commit.
//!
//! A change of the table's schema or protocol is not applied to a snapshot: the table is loaded again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Add};
use deltalake::logstore::object_store::path::Path;
use futures::TryStreamExt;
use futures::future::try_join_all;
use jiff::civil::Date;
use serde::Deserialize;

use crate::tables::error::TableErrorKind;
use crate::tables::features::{self, Features, Obstacle};
use crate::tables::log_entry::{self, file_path};
use crate::tables::rows::row::{EVENT_DATE, TableRow};
use xact_contracts::ids::AppId;

/// Log entries that are read before the table is loaded again instead, which takes a listing and reads its checkpoint.
const MAX_ENTRIES_READ: u64 = 32;
/// Most log entries that are requested at the same time.
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
    /// When it was written, in milliseconds.
    pub(crate) written_at: i64,
    /// Whether a deletion vector marks some of its rows as deleted.
    pub(crate) has_deletion_vector: bool,
}

/// A loaded table.
pub(crate) struct Snapshot {
    /// The version of this state.
    pub(crate) version: u64,
    /// The table as it was loaded, perhaps at an earlier version: schema, protocol, properties and storage.
    pub(crate) table: DeltaTable,
    /// What the table requires of its writers.
    pub(crate) features: Features,
    files: HashMap<Path, Arc<DataFile>>,
    /// `txn` versions by app id. `None`: the table has none. Missing: not read yet.
    positions: HashMap<AppId, Option<i64>>,
    /// Positions that differ from those of the log, because the table was restored: see `restored`. The next commit
    /// writes them.
    pub(crate) restored: BTreeMap<AppId, i64>,
    /// The in-commit timestamp of the last commit, in a table whose commits have one.
    last_commit_at: Option<i64>,
}

/// Result of following the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The snapshot is at the latest version.
    Latest,
    /// The table has to be loaded again.
    Outdated,
}

impl Snapshot {
    /// Returns the state of a table that is loaded.
    pub(crate) async fn of<R: TableRow>(table: DeltaTable) -> Result<Self, TableErrorKind> {
        let failed = |error| TableErrorKind::delta("read its file list", &error);
        let loaded = table.snapshot().map_err(failed)?;
        let version = loaded.version();
        let ours = R::delta_schema().iter().map(|field| field.name().clone()).collect();
        let features = Features::of(loaded, &ours).map_err(TableErrorKind::corrupt)?;
        let last_commit_at = if features.has_in_commit_timestamps {
            let entry = log_entry::read(&table, version).await?;
            entry.and_then(|entry| log_entry::commit_info(&entry)?.in_commit_timestamp)
        } else {
            None
        };
        let mut files = HashMap::new();
        let mut views = table.get_active_add_actions_by_partitions(&[]);
        while let Some(view) = views.try_next().await.map_err(failed)? {
            let file = DataFile {
                path: view.object_store_path(),
                bytes: bytes(view.size())?,
                rows: view.num_records(),
                date: date(&view.partition_values_map())?,
                written_at: view.modification_time(),
                has_deletion_vector: view.deletion_vector_descriptor().is_some(),
            };
            files.insert(file.path.clone(), Arc::new(file));
        }
        drop(views);
        Ok(Self {
            version,
            table,
            features,
            files,
            positions: HashMap::new(),
            restored: BTreeMap::new(),
            last_commit_at,
        })
    }

    /// Returns the version that the next commit has, in the type of the public functions.
    pub(crate) fn next_version(&self) -> Option<i64> {
        i64::try_from(self.version + 1).ok()
    }

    /// Returns why nothing can be appended; empty in the usual case.
    pub(crate) fn obstacles(&self) -> Vec<Obstacle> {
        let marked = self.files.values().filter(|file| file.has_deletion_vector);
        let first = marked.map(|file| &file.path).min();
        let vector = first.map(|path| features::deletion_vector(path.as_ref()));
        self.features.obstacles.iter().cloned().chain(vector).collect()
    }

    /// Refuses a table that cannot be appended to.
    pub(crate) fn check_writable(&self) -> Result<(), TableErrorKind> {
        match self.obstacles() {
            none if none.is_empty() => Ok(()),
            obstacles => Err(TableErrorKind::obstacles(&obstacles)),
        }
    }

    /// Returns the paths of its files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys()
    }

    /// Uses these positions instead of the log's, until a commit has written them.
    pub(crate) fn set_restored(&mut self, positions: BTreeMap<AppId, i64>) {
        let known = positions.iter();
        self.positions
            .extend(known.map(|(app_id, position)| (app_id.clone(), Some(*position))));
        self.restored = positions;
    }

    /// Returns the in-commit timestamp of the next commit in milliseconds, if this table's commits have one. It is later
    /// than the last.
    pub(crate) fn next_in_commit_timestamp(&self, now: i64) -> Option<i64> {
        let after_last = self.last_commit_at.map_or(now, |last| now.max(last + 1));
        self.features.has_in_commit_timestamps.then_some(after_last)
    }

    /// Returns the files of the dates in a range, both ends included, or all; in no order.
    pub(crate) fn files_between(&self, range: Option<(Date, Date)>) -> Vec<Arc<DataFile>> {
        let is_within = |file: &&Arc<DataFile>| match range {
            None => true,
            Some((from, to)) => file.date.is_some_and(|date| from <= date && date <= to),
        };
        self.files.values().filter(is_within).cloned().collect()
    }

    /// Returns the next offset of each of the app ids that the table has one for.
    pub(crate) async fn positions(&mut self, app_ids: &[AppId]) -> Result<BTreeMap<AppId, i64>, TableErrorKind> {
        let mut found = BTreeMap::new();
        for app_id in app_ids {
            let position = match self.positions.get(app_id) {
                Some(position) => *position,
                None => {
                    let position = self.read_position(app_id).await?;
                    self.positions.insert(app_id.clone(), position);
                    position
                }
            };
            found.extend(position.map(|position| (app_id.clone(), position)));
        }
        Ok(found)
    }

    /// Takes over the positions that another snapshot of the same version has read already.
    pub(crate) fn with_positions_of(mut self, other: Self) -> Self {
        if self.version == other.version {
            self.positions = other.positions;
        }
        self
    }

    /// Reads a position from the version that was loaded. A later commit of this app id would be in `positions`.
    async fn read_position(&self, app_id: &AppId) -> Result<Option<i64>, TableErrorKind> {
        let failed = |error| TableErrorKind::delta("read its positions", &error);
        let (loaded, log) = (self.table.snapshot().map_err(failed)?, self.table.log_store());
        loaded.transaction_version(&log, app_id.as_str()).await.map_err(failed)
    }

    /// Applies the commit of the next version. Returns false if that is not possible and the table has to be loaded.
    pub(crate) fn apply(&mut self, actions: &[Action]) -> Result<bool, TableErrorKind> {
        let changes_table = |action: &Action| matches!(action, Action::Metadata(_) | Action::Protocol(_));
        if actions.iter().any(changes_table) {
            return Ok(false);
        }
        // Removes first: the actions of a commit have no order, and a commit may replace a file's own entry.
        for action in actions {
            if let Action::Remove(remove) = action {
                self.files.remove(&file_path(&remove.path));
            }
        }
        for action in actions {
            match action {
                Action::Add(add) => {
                    let file = data_file(add)?;
                    self.files.insert(file.path.clone(), Arc::new(file));
                }
                Action::Txn(txn) => {
                    self.restored.remove(txn.app_id.as_str());
                    let app_id = AppId::from(txn.app_id.as_str());
                    self.positions.insert(app_id, Some(txn.version));
                }
                Action::CommitInfo(info) => self.last_commit_at = info.in_commit_timestamp,
                _ => {}
            }
        }
        self.version += 1;
        Ok(true)
    }

    /// Applies the log entries that other writers have added since, read by name.
    pub(crate) async fn follow_log(&mut self) -> Result<Followed, TableErrorKind> {
        let first = self.version + 1;
        let mut at_once = 1;
        loop {
            let next = self.version + 1;
            if next - first >= MAX_ENTRIES_READ {
                return Ok(Followed::Outdated);
            }
            let entries = (next..next + at_once).map(|version| log_entry::read(&self.table, version));
            for entry in try_join_all(entries).await? {
                let Some(entry) = entry else {
                    return Ok(Followed::Latest);
                };
                // The positions after a restore are determined when the table is loaded.
                let is_restore = log_entry::commit_info(&entry).is_some_and(|info| info.is_restore());
                match log_entry::parse(&entry) {
                    Some(actions) if !is_restore && self.apply(&actions)? => {}
                    _ => return Ok(Followed::Outdated),
                }
            }
            // One, one, two, four, eight: a superfluous request is cheap, one request after the other is slow.
            at_once = (self.version + 1 - first).clamp(1, MAX_ENTRIES_AT_ONCE);
        }
    }
}

fn data_file(add: &Add) -> Result<DataFile, TableErrorKind> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Statistics {
        num_records: Option<usize>,
    }
    let statistics = add.stats.as_deref();
    let statistics = statistics.and_then(|stats| serde_json::from_str::<Statistics>(stats).ok());
    Ok(DataFile {
        path: file_path(&add.path),
        bytes: bytes(add.size)?,
        rows: statistics.and_then(|statistics| statistics.num_records),
        date: date(&add.partition_values)?,
        written_at: add.modification_time,
        has_deletion_vector: add.deletion_vector.is_some(),
    })
}

fn bytes(size: i64) -> Result<u64, TableErrorKind> {
    u64::try_from(size).map_err(|_| TableErrorKind::corrupt(format!("a data file has the size {size}")))
}

fn date(partition: &HashMap<String, Option<String>>) -> Result<Option<Date>, TableErrorKind> {
    let Some(text) = partition.get(EVENT_DATE).and_then(Option::as_ref) else {
        return Ok(None);
    };
    let refuse = |error| TableErrorKind::corrupt(format!("a data file has the partition {text:?}: {error}"));
    text.parse().map(Some).map_err(refuse)
}
