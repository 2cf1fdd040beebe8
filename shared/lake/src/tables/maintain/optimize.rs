//! Compaction: the small files of a date are replaced by few large ones, with the same rows and bloom filters.
//!
//! Safe while other writers append. An append in between makes the commit conflict, but does not waste the work: the
//! files to be replaced still exist, so the next round commits the same new files. A removal in between replaces one of
//! them; then that part is rewritten again. An append that conflicts with a compaction searches the new file, so keys stay
//! unique. A process that dies leaves files that no commit names; `vacuum` deletes them.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;

use deltalake::kernel::Add;
use deltalake::logstore::object_store::path::Path;
use deltalake::protocol::DeltaOperation;
use jiff::civil::Date;

use crate::tables::commit::change::{Change, Contents, Plan, PlansOn};
use crate::tables::commit::transaction::Transaction;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::maintain::rewrite::{self, DataChange, Rewritten};
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::{DataFile, Snapshot};
use crate::tables::table::Table;

/// Returns whether a file has less than three quarters of the target size. A file that was written with the target size
/// may be a bit smaller than that.
pub(crate) fn is_small(bytes: u64, target_bytes: u64) -> bool {
    bytes < target_bytes / 4 * 3
}

/// What one commit of a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The date whose files were rewritten.
    pub date: Date,
    /// Files that were replaced.
    pub files_before: usize,
    /// Files that replace them.
    pub files_after: usize,
    /// Bytes of the files that were replaced.
    pub bytes_before: u64,
    /// Bytes of the files that replace them.
    pub bytes_after: u64,
    /// The version of the commit.
    pub version: Option<i64>,
}

/// A part of a date that a compaction would rewrite with one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCompaction {
    /// The date whose files would be rewritten.
    pub date: Date,
    /// Files that would be replaced.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The compaction of a part of a date: as many small files as make one of the target size.
struct Compaction<'a, R> {
    date: Date,
    target_bytes: u64,
    /// Files that this run has written, which are not compacted again.
    written: &'a HashSet<Path>,
    staged: Rewritten,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Table<R> {
    /// Rewrites the small files of each date to files of about `target_bytes`, with one commit for each, until
    /// `is_enough` returns true, which is asked before each commit. A table that does not exist has none.
    ///
    /// # Errors
    /// [`TableError`]. Earlier commits are kept; another call continues.
    pub async fn optimize(
        &self,
        target_bytes: u64,
        mut is_enough: impl FnMut() -> bool + Send,
    ) -> Result<Vec<Compacted>, TableError> {
        let mut commits = Vec::new();
        for date in self.dates().await? {
            let mut written = HashSet::new();
            while !is_enough() {
                let mut compaction = Compaction::<R> {
                    date,
                    target_bytes,
                    written: &written,
                    staged: Rewritten::default(),
                    row: PhantomData,
                };
                let compacted = self.compact(&mut compaction).await?;
                let Some(compacted) = compacted else { break };
                let files: Vec<Path> = compaction.new_files().collect();
                written.extend(files);
                commits.push(compacted);
            }
        }
        Ok(commits)
    }

    /// Returns what [`Table::optimize`] would rewrite, in its order. Only the log is read. A table that does not exist has
    /// nothing.
    ///
    /// # Errors
    /// [`TableError`], if the log cannot be read.
    pub async fn plan_optimize(&self, target_bytes: u64) -> Result<Vec<PlannedCompaction>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            let Some(snapshot) = handle.latest().await? else {
                return Ok(Vec::new());
            };
            let mut by_date: BTreeMap<Date, Vec<Arc<DataFile>>> = BTreeMap::new();
            for file in snapshot.files_between(None) {
                if let Some(date) = file.date {
                    by_date.entry(date).or_default().push(file);
                }
            }
            handle.keep(snapshot);
            let mut planned = Vec::new();
            for (date, files) in by_date {
                let mut taken = HashSet::new();
                loop {
                    let part = next_part(files.clone(), target_bytes, &taken);
                    if part.is_empty() {
                        break;
                    }
                    planned.push(PlannedCompaction {
                        date,
                        files: part.len(),
                        bytes: part.iter().map(|file| file.bytes).sum(),
                    });
                    taken.extend(part.iter().map(|file| file.path.clone()));
                }
            }
            Ok(planned)
        })
        .await
    }

    async fn compact(&self, compaction: &mut Compaction<'_, R>) -> Result<Option<Compacted>, TableError> {
        self.located(async {
            let mut handle = self.handle.lock().await;
            Transaction::new(&mut handle, compaction).run().await
        })
        .await
    }
}

impl<R> Compaction<'_, R> {
    fn new_files(&self) -> impl Iterator<Item = Path> + '_ {
        let files = self.staged.files.iter();
        files.filter_map(|file| Path::from_url_path(&file.path).ok())
    }
}

/// Returns the next small files of a date to compact; none if fewer than two are left.
fn next_part(mut files: Vec<Arc<DataFile>>, target_bytes: u64, written: &HashSet<Path>) -> Vec<Arc<DataFile>> {
    files.retain(|file| is_small(file.bytes, target_bytes) && !written.contains(&file.path));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut bytes = 0;
    let enough = files.iter().position(|file| {
        bytes += file.bytes;
        bytes >= target_bytes
    });
    // At least two, or there would be nothing to compact.
    files.truncate(enough.map_or(files.len(), |last| (last + 1).max(2)));
    if files.len() < 2 { Vec::new() } else { files }
}

impl<R: TableRow> Change for Compaction<'_, R> {
    type Outcome = Option<Compacted>;

    const PLANS_ON: PlansOn = PlansOn::Latest;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<Self::Outcome>, TableErrorKind> {
        let files = snapshot.files_between(Some((self.date, self.date)));
        let active: HashSet<&Path> = files.iter().map(|file| &file.path).collect();
        let is_current = self.staged.sources.iter().all(|file| active.contains(&file.path));
        if self.staged.sources.is_empty() || !is_current {
            self.staged.discard(&snapshot.table).await;
            let part = next_part(files, self.target_bytes, self.written);
            if part.is_empty() {
                return Ok(Plan::Done(None));
            }
            self.staged = rewrite::rewrite::<R>(snapshot, part, &HashSet::new(), self.target_bytes).await?;
        }
        let Rewritten { sources, files, .. } = &self.staged;
        let compacted = Compacted {
            date: self.date,
            files_before: sources.len(),
            files_after: files.len(),
            bytes_before: sources.iter().map(|file| file.bytes).sum(),
            bytes_after: files.iter().map(|file| u64::try_from(file.size).unwrap_or(0)).sum(),
            version: snapshot.next_version(),
        };
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: i64::try_from(self.target_bytes).unwrap_or(i64::MAX),
        };
        let contents = Contents::without_positions(self.staged.actions(DataChange::No), operation);
        Ok(Plan::Commit(Box::new(contents), Some(compacted)))
    }

    fn staged_files(&self) -> Vec<Add> {
        self.staged.files.clone()
    }

    fn outcome_without_table(&self) -> Option<Self::Outcome> {
        Some(None)
    }
}
