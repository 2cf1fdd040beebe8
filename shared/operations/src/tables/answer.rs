//! What maintenance of a table returns.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Serialize, Serializer};

use crate::onelake_cost::OneLakeCost;
use xact_contracts::ids::AppId;
use xact_lake::{Compacted, TableInfo};

/// Small files above which optimizing is advised.
const MANY_SMALL_FILES: usize = 100;
/// Commits since the last checkpoint above which a checkpoint is advised.
const MANY_COMMITS: u64 = 200;

/// The answer about one table.
#[derive(Debug, Serialize)]
pub struct TableAnswer {
    /// The table's name.
    pub table: &'static str,
    /// What was found or done.
    #[serde(flatten)]
    pub outcome: TableOutcome,
    /// `None` for a local table.
    #[serde(flatten)]
    pub cost: Option<OneLakeCost>,
}

/// What was found or done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TableOutcome {
    /// There is no table yet.
    Missing {
        /// Where it would be.
        location: String,
        /// Always true.
        missing: bool,
        /// The variable that names the location.
        #[serde(skip)]
        variable: &'static str,
    },
    /// Its state.
    State(TableState),
    /// Its small files were rewritten.
    Optimized(Optimized),
    /// Files that no version within the retention uses were listed or deleted.
    Vacuumed {
        /// Paths relative to the table.
        unused_files: Vec<String>,
        /// Whether they were deleted.
        deleted: bool,
        /// The retention.
        #[serde(skip)]
        retain_hours: u64,
    },
    /// A checkpoint was written.
    Checkpointed {
        /// The version that it is of.
        #[serde(rename = "checkpoint")]
        version: u64,
        /// Log entries that were deleted; `None` if they were kept.
        log_entries_deleted: Option<usize>,
    },
}

/// The sums of all commits of an optimize.
#[derive(Debug, Serialize)]
pub struct Optimized {
    /// Commits.
    pub commits: usize,
    /// Files that were rewritten.
    pub files_before: usize,
    /// Files that replace them.
    pub files_after: usize,
    /// Bytes of the files that were rewritten.
    pub bytes_before: u64,
    /// Bytes of the files that replace them.
    pub bytes_after: u64,
    /// All files of the table before.
    #[serde(skip)]
    pub files_of_table: usize,
}

impl Optimized {
    pub(super) fn new(files_of_table: usize, commits: &[Compacted]) -> Self {
        Self {
            commits: commits.len(),
            files_before: commits.iter().map(|commit| commit.files_before).sum(),
            files_after: commits.iter().map(|commit| commit.files_after).sum(),
            bytes_before: commits.iter().map(|commit| commit.bytes_before).sum(),
            bytes_after: commits.iter().map(|commit| commit.bytes_after).sum(),
            files_of_table,
        }
    }
}

/// The state of a table.
#[derive(Debug, Serialize)]
pub struct TableState {
    /// Where the table is.
    pub location: String,
    /// The latest version.
    pub version: u64,
    /// The version of the last checkpoint.
    pub checkpoint: Option<u64>,
    /// Rows.
    pub rows: usize,
    /// Data files.
    pub files: usize,
    /// Data files that an optimize would rewrite.
    pub small_files: usize,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Dates that have rows.
    pub dates: usize,
    /// The first of them.
    pub first_date: Option<Date>,
    /// The last of them.
    pub last_date: Option<Date>,
    /// The next offset of each partition, by application id.
    #[serde(serialize_with = "by_text")]
    pub positions: BTreeMap<AppId, i64>,
    /// What keeps this program from appending.
    pub obstacles: Vec<String>,
    /// What to do.
    pub advice: Vec<String>,
}

impl TableState {
    pub(super) fn new(info: &TableInfo, location: String, positions: BTreeMap<AppId, i64>) -> Self {
        let mut advice: Vec<String> = info.obstacles.iter().map(|obstacle| obstacle.remedy.clone()).collect();
        if info.small_files > MANY_SMALL_FILES {
            let files = info.small_files;
            advice.push(format!(
                "{files} small files slow down key lookups and reads: run `table optimize`"
            ));
        }
        let commits = info.version - info.checkpoint.unwrap_or(0).min(info.version);
        if commits > MANY_COMMITS {
            advice.push(format!(
                "{commits} commits since the last checkpoint slow down opening: run `table checkpoint`"
            ));
        }
        let obstacles = info.obstacles.iter();
        Self {
            location,
            version: info.version,
            checkpoint: info.checkpoint,
            rows: info.rows,
            files: info.files,
            small_files: info.small_files,
            bytes: info.bytes,
            dates: info.dates,
            first_date: info.first_date,
            last_date: info.last_date,
            positions,
            obstacles: obstacles
                .map(|obstacle| format!("{} ({})", obstacle.reason, obstacle.feature))
                .collect(),
            advice,
        }
    }
}

fn by_text<S: Serializer>(positions: &BTreeMap<AppId, i64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(positions.iter().map(|(app_id, next)| (app_id.as_str(), next)))
}
