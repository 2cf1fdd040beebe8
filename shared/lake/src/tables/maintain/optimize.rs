//! Compaction: the small files of a date become few big ones, with the same rows and the same bloom filters.
//!
//! Safe beside running writers. An append in between fails the commit, not the work: the plan is looked at again, and
//! the files that it replaces are still there. A removal in between replaces one of them: then that part is done again.
//! An append that is overtaken by a compaction looks into the new file, so keys stay single. A process that dies leaves
//! files that no commit names; `vacuum` deletes them.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;

use deltalake::kernel::Add;
use deltalake::logstore::object_store::path::Path;
use deltalake::protocol::DeltaOperation;
use jiff::civil::Date;

use crate::tables::commit::attempt::{Attempt, Contents};
use crate::tables::commit::transaction;
use crate::tables::commit::transaction::{Change, Plan};
use crate::tables::error::TableError;
use crate::tables::maintain::rewrite;
use crate::tables::maintain::rewrite::Rewritten;
use crate::tables::rows::row::TableRow;
use crate::tables::snapshot::{DataFile, Snapshot};
use crate::tables::table::Table;

/// A file of less than three quarters of the target is small: one that was written to the target may come out a bit
/// below it.
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

/// One part of a date: as many small files as make one of the target size.
struct Compaction<'a, R> {
    date: Date,
    target_bytes: u64,
    /// Files that this run has written: not to be written again.
    written: &'a HashSet<Path>,
    staged: Rewritten,
    row: PhantomData<fn() -> R>,
}

impl<R: TableRow> Table<R> {
    /// Rewrites the small files of each date into files of about `target_bytes`, one commit for each; `done` is told of
    /// every commit. A table that is not there has none.
    ///
    /// # Errors
    /// [`TableError`]. What was committed stays; calling it again goes on.
    pub async fn optimize(
        &self,
        target_bytes: u64,
        mut done: impl FnMut(&Compacted) + Send,
    ) -> Result<Vec<Compacted>, TableError> {
        let mut commits = Vec::new();
        for date in self.dates().await? {
            let mut written = HashSet::new();
            loop {
                let mut compaction = Compaction::<R> {
                    date,
                    target_bytes,
                    written: &written,
                    staged: Rewritten::default(),
                    row: PhantomData,
                };
                let mut handle = self.handle.lock().await;
                let compacted = transaction::carry_out::<R, _>(&mut compaction, &mut handle, &self.options).await?;
                drop(handle);
                let Some(compacted) = compacted else { break };
                let files: Vec<Path> = paths(&compaction.staged.files).collect();
                written.extend(files);
                done(&compacted);
                commits.push(compacted);
            }
        }
        Ok(commits)
    }
}

impl<R> Compaction<'_, R> {
    /// The next small files to put together; none if fewer than two are left.
    fn part(&self, mut files: Vec<Arc<DataFile>>) -> Vec<Arc<DataFile>> {
        files.retain(|file| is_small(file.bytes, self.target_bytes) && !self.written.contains(&file.path));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut bytes = 0;
        let enough = files.iter().position(|file| {
            bytes += file.bytes;
            bytes >= self.target_bytes
        });
        // At least two, or nothing would be put together.
        files.truncate(enough.map_or(files.len(), |last| (last + 1).max(2)));
        if files.len() < 2 { Vec::new() } else { files }
    }
}

impl<R: TableRow> Change for Compaction<'_, R> {
    type Outcome = Option<Compacted>;

    const NEEDS_LATEST: bool = true;

    async fn plan(&mut self, snapshot: &mut Snapshot) -> Result<Plan<Self::Outcome>, TableError> {
        let files = snapshot.files_between(Some((self.date, self.date)));
        let active: HashSet<&Path> = files.iter().map(|file| &file.path).collect();
        let is_current = self.staged.sources.iter().all(|file| active.contains(&file.path));
        if self.staged.sources.is_empty() || !is_current {
            self.staged.discard(&snapshot.table).await;
            let part = self.part(files);
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
            version: Attempt::after(snapshot).table_version(),
        };
        let contents = Contents {
            // The rows stay as they are: who follows the table's changes has nothing to do.
            actions: self.staged.actions(false),
            advancing: BTreeMap::new(),
            operation: DeltaOperation::Optimize {
                predicate: None,
                target_size: i64::try_from(self.target_bytes).unwrap_or(i64::MAX),
            },
        };
        Ok(Plan::Commit(Box::new(contents), Some(compacted)))
    }

    fn staged(&self) -> Vec<Add> {
        self.staged.files.clone()
    }

    fn without_table(&self) -> Option<Self::Outcome> {
        Some(None)
    }
}

fn paths(files: &[Add]) -> impl Iterator<Item = Path> + '_ {
    files.iter().filter_map(|file| Path::from_url_path(&file.path).ok())
}
