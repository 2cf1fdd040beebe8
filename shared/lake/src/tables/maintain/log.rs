//! Maintenance of a table's log: writes checkpoints, deletes old entries.

use deltalake::DeltaTable;
use deltalake::logstore::object_store::{self, ObjectStore, path::Path};
use deltalake::table::config::TablePropertiesExt as _;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::tables::checkpoints;
use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::handle::Handle;
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

const LOG: &str = "_delta_log";

impl<R: TableRow> Table<R> {
    /// Writes a checkpoint of the latest version, and returns the version. `None` if the table does not exist.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn checkpoint(&self) -> Result<Option<u64>, TableError> {
        self.located(async {
            let Some(table) = self.handle.lock().await.loaded_table().await? else {
                return Ok(None);
            };
            checkpoints::write(&table).await?;
            Ok(table.version())
        })
        .await
    }

    /// Deletes log entries that are older than the table's `delta.logRetentionDuration` (30 days) and covered by a
    /// checkpoint; returns how many. Versions before that can no longer be read or restored. `None` if the table does
    /// not exist.
    ///
    /// # Errors
    /// [`TableError`]; of the kind [`TableErrorKind::Refused`] if another program has to clean up the log.
    pub async fn clean_log(&self) -> Result<Option<usize>, TableError> {
        self.located(async {
            let Some(log) = self.expirable_log().await? else {
                return Ok(None);
            };
            let expired: Vec<_> = expired(&log.files, log.version, log.cutoff).map(Ok).collect();
            let mut deletes = log.table.object_store().delete_stream(stream::iter(expired).boxed());
            let mut deleted = 0;
            while let Some(result) = deletes.next().await {
                match result {
                    // Another clean-up may have deleted it.
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => deleted += 1,
                    Err(error) => return Err(TableErrorKind::unavailable("clean up its log", error)),
                }
            }
            Ok(Some(deleted))
        })
        .await
    }

    /// Returns how many log entries [`Table::clean_log`] would delete after `commits` more commits and a checkpoint of the last
    /// of them. The log is listed; nothing is written. `None` if the table does not exist.
    ///
    /// # Errors
    /// As [`Table::clean_log`].
    pub async fn plan_clean_log(&self, commits: u64) -> Result<Option<usize>, TableError> {
        self.located(async {
            let Some(mut log) = self.expirable_log().await? else {
                return Ok(None);
            };
            let last = log.version + commits;
            let entries = (log.version + 1..=last).map(|version| (format!("{version:020}.json"), version));
            let checkpoint = (format!("{last:020}.checkpoint.parquet"), last);
            let coming = entries.chain([checkpoint]).map(|(name, version)| LogFile {
                path: Path::from_iter([LOG, name.as_str()]),
                version,
                written_at: log.now,
            });
            log.files.extend(coming);
            Ok(Some(expired(&log.files, last, log.cutoff).count()))
        })
        .await
    }

    /// Returns the log of the table, unless another program has to clean it up.
    async fn expirable_log(&self) -> Result<Option<Log>, TableErrorKind> {
        let mut handle = self.handle.lock().await;
        let Some(table) = handle.loaded_table().await? else {
            return Ok(None);
        };
        refuse_protected(&mut handle).await?;
        drop(handle);
        let failed = |error| TableErrorKind::delta("clean up its log", &error);
        let snapshot = table.snapshot().map_err(failed)?;
        let retention = snapshot.table_config().log_retention_duration().as_millis();
        let now = Timestamp::now().as_millisecond();
        let version = snapshot.version();
        let path = Path::from(LOG);
        let listed = table.object_store().list(Some(&path));
        let files = listed.map_ok(|file| LogFile::of(&file.location, file.last_modified.timestamp_millis()));
        let files: Vec<Option<LogFile>> = files
            .try_collect()
            .await
            .map_err(|error| TableErrorKind::unavailable("list its log", error))?;
        Ok(Some(Log {
            version,
            now,
            cutoff: now.saturating_sub(i64::try_from(retention).unwrap_or(i64::MAX)),
            files: files.into_iter().flatten().collect(),
            table,
        }))
    }
}

async fn refuse_protected<R: TableRow>(handle: &mut Handle<R>) -> Result<(), TableErrorKind> {
    if let Some(snapshot) = handle.latest().await? {
        let is_protected = snapshot.features.protects_checkpoints;
        handle.keep(snapshot);
        if is_protected {
            let reason = "delta.requireCheckpointProtectionBeforeVersion is set: let Spark clean up its log";
            return Err(TableErrorKind::Refused(reason.to_owned()));
        }
    }
    Ok(())
}

/// A log whose old entries may be deleted.
struct Log {
    table: DeltaTable,
    version: u64,
    /// Milliseconds since the Unix epoch.
    now: i64,
    /// Entries that were written later are kept.
    cutoff: i64,
    files: Vec<LogFile>,
}

/// A log entry or a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LogFile {
    path: Path,
    version: u64,
    /// Milliseconds since the Unix epoch.
    written_at: i64,
}

impl LogFile {
    /// Returns a file in the log itself whose name begins with a version; the log may have others.
    fn of(path: &Path, written_at: i64) -> Option<Self> {
        let name = path.as_ref().strip_prefix(LOG)?.strip_prefix('/')?;
        let (version, _) = name.split_once('.').filter(|(version, _)| version.len() == 20)?;
        Some(Self {
            version: version.parse().ok()?,
            path: path.clone(),
            written_at,
        })
    }

    /// Returns what follows the version in the name.
    fn kind(&self) -> &str {
        let name = self.path.filename().unwrap_or_default();
        name.split_once('.').map_or("", |(_, kind)| kind)
    }

    fn is_checkpoint(&self) -> bool {
        self.kind().starts_with("checkpoint")
    }

    /// Returns whether it is an entry or a checkpoint in one file. Checkpoints in several files, and what other programs add,
    /// are left to those.
    fn is_ours(&self) -> bool {
        let part = |kind: &str| {
            let number = kind.strip_prefix("checkpoint.")?.strip_suffix(".parquet")?;
            number.parse::<u64>().ok()
        };
        matches!(self.kind(), "json" | "checkpoint.parquet") || part(self.kind()).is_some()
    }
}

/// Returns the files that are not needed for any version that is young enough: those before the last checkpoint that such a
/// version can be read from. A table of `version` is read from that version back to its checkpoint, so the checkpoint must not
/// be later than the oldest version within the retention. The rule is that of deltalake (`cleanup_expired_logs_for`), which has
/// no dry run.
fn expired(files: &[LogFile], version: u64, cutoff: i64) -> impl Iterator<Item = Path> + '_ {
    let young = files.iter().filter(|file| file.is_ours() && file.written_at >= cutoff);
    let keep = young.map(|file| file.version).min().unwrap_or(version).min(version);
    let checkpoints = files.iter().filter(|file| file.is_checkpoint() && file.version <= keep);
    let base = checkpoints.map(|file| file.version).max().unwrap_or(0);
    let expired = files
        .iter()
        .filter(move |file| file.is_ours() && file.version < base && file.written_at <= cutoff);
    expired.map(|file| file.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checkpoints, the cutoff, and the names that expire.
    type Case<'a> = (&'a [(&'a str, i64)], i64, &'a [&'a str]);

    #[test]
    fn entries_before_the_checkpoint_of_the_oldest_young_version_expire() {
        let log = |files: &[(&str, i64)]| -> Vec<LogFile> {
            let file = |(name, at): &(&str, i64)| LogFile::of(&Path::from(format!("{LOG}/{name}")), *at);
            files.iter().filter_map(file).collect()
        };
        let json = |version: u64| format!("{version:020}.json");
        let checkpoint = |version: u64| format!("{version:020}.checkpoint.parquet");
        let (a, b, c, d) = (json(0), json(1), json(2), json(3));
        let (at_1, at_2, at_3) = (checkpoint(1), checkpoint(2), checkpoint(3));
        let entries = [(a.as_str(), 10), (&b, 20), (&c, 30), (&d, 40)];
        let cases: [Case<'_>; 8] = [
            (&[], 99, &[]),
            (&[(&at_3, 45)], 0, &[]),
            // Version 2 is young and needs a checkpoint before it, of which there is none.
            (&[(&at_3, 45)], 25, &[]),
            (&[(&at_1, 25), (&at_3, 45)], 25, &[&a]),
            (&[(&at_2, 31), (&at_3, 45)], 30, &[&a, &b]),
            (&[(&at_2, 31), (&at_3, 45)], 35, &[&a, &b, &c, &at_2]),
            // Everything is old, but the checkpoint.
            (&[(&at_1, 25), (&at_3, 99)], 50, &[&a, &b, &c, &at_1]),
            (&[(&at_3, 45)], 50, &[&a, &b, &c]),
        ];
        for (checkpoints, cutoff, names) in cases {
            let files = log(&[&entries[..], checkpoints].concat());
            let mut found: Vec<String> = expired(&files, 3, cutoff).map(|path| path.to_string()).collect();
            let mut expected: Vec<String> = names.iter().map(|name| format!("{LOG}/{name}")).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{checkpoints:?}, {cutoff}");
        }
    }

    #[test]
    fn only_entries_and_checkpoints_in_one_file_are_deleted() {
        let version = "00000000000000000001";
        for (name, is_file, is_ours) in [
            (format!("{version}.json"), true, true),
            (format!("{version}.checkpoint.parquet"), true, true),
            (
                format!("{version}.checkpoint.0000000001.0000000002.parquet"),
                true,
                false,
            ),
            (
                format!("{version}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"),
                true,
                false,
            ),
            (format!("{version}.crc"), true, false),
            (format!("_sidecars/{version}.json"), false, false),
            ("_last_checkpoint".to_owned(), false, false),
            ("1.json".to_owned(), false, false),
        ] {
            let file = LogFile::of(&Path::from(format!("{LOG}/{name}")), 0);
            assert_eq!(file.is_some(), is_file, "{name}");
            assert_eq!(file.is_some_and(|file| file.is_ours()), is_ours, "{name}");
        }
    }
}
