//! Appended data that is not flushed: one hidden file with the data, and one with the ranges that were written.
//!
//! As in the service, appends come in any order, a repeated one replaces what it covers, and nothing is visible until a flush
//! whose position is the end of the data. Staged data belongs to the version of the file at the first append, and is
//! discarded when that is replaced.

use std::io::{self, Seek, SeekFrom};

use cap_std::fs::OpenOptions;
use serde::{Deserialize, Serialize};

use super::commit::Part;
use super::conditions::Conditions;
use super::folders::open_file;
use super::{Draft, Entry, EntryPath, IfFound, Properties, Stamp, Storage, StoreError, upload_key};

/// The staged ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Staged {
    /// The version of the file to which they are appended.
    base: Stamp,
    /// The length of that file: the position of the first staged byte.
    start: u64,
    /// Start and end in the file, sorted, none adjacent to the next.
    ranges: Vec<(u64, u64)>,
}

impl Staged {
    fn add(&mut self, from: u64, to: u64) {
        let (mut from, mut to) = (from, to);
        self.ranges.retain(|(start, end)| {
            let touches = *start <= to && from <= *end;
            if touches {
                from = from.min(*start);
                to = to.max(*end);
            }
            !touches
        });
        self.ranges.push((from, to));
        self.ranges.sort_unstable();
    }

    /// Whether the staged bytes go from the file's end to `position` without a gap, and no further.
    fn ends_at(&self, position: u64) -> bool {
        self.ranges == [(self.start, position)]
    }
}

impl Storage {
    /// Stages `length` bytes of a draft at `position` of the file, and returns the file as it is.
    pub(crate) fn append(
        &self,
        path: &EntryPath,
        draft: &Draft,
        position: u64,
        length: u64,
    ) -> Result<Entry, StoreError> {
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        let entry = self.file_at(path)?;
        let end = position.checked_add(length).ok_or(StoreError::WrongPosition)?;
        if position < entry.length {
            return Err(StoreError::WrongPosition);
        }
        let mut staged = self.staged(&key, &entry)?.unwrap_or(Staged {
            base: entry.stamp,
            start: entry.length,
            ranges: Vec::new(),
        });
        if staged.ranges.is_empty() && position == staged.start {
            // The only append of most files: no copy is needed.
            draft.move_to(&self.appends, &key)?;
        } else {
            let mut options = OpenOptions::new();
            options.write(true).create(true);
            let mut data = self.appends.open_with(&key, &options)?.into_std();
            data.seek(SeekFrom::Start(position - staged.start))?;
            io::copy(&mut draft.open()?, &mut data)?;
        }
        staged.add(position, end);
        self.write_index(&key, &staged)?;
        Ok(entry)
    }

    /// Commits the staged data to the file, which then ends at `position`; `change` sets properties.
    pub(crate) fn flush(
        &self,
        path: &EntryPath,
        position: u64,
        conditions: &Conditions,
        change: impl FnOnce(&mut Properties),
    ) -> Result<Entry, StoreError> {
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        let entry = self.file_at(path)?;
        let Some(staged) = self.staged(&key, &entry)? else {
            // Nothing is staged, as for a flush that is repeated because its answer was lost.
            if position != entry.length {
                return Err(StoreError::WrongPosition);
            }
            return self.change_at(path, conditions, change).map(|(_, after)| after);
        };
        if !staged.ends_at(position) {
            return Err(StoreError::WrongPosition);
        }
        let draft = if staged.start == 0 {
            Draft::kept(&self.appends, &key)
        } else {
            let (_, _, committed) = self.read(path)?;
            let committed = Part::whole(committed.ok_or(StoreError::WrongKind)?, staged.start);
            let appended = Part::whole(open_file(&self.appends, &key)?, position - staged.start);
            self.joined([Ok(committed), Ok(appended)])?
        };
        let flushed = self.put_at(path, &draft, conditions, Some(staged.base), |mut properties| {
            // They describe the previous bytes.
            properties.content_md5 = None;
            properties.copy_id = None;
            properties.blocks.clear();
            change(&mut properties);
            properties
        })?;
        self.forget_appends(&key)?;
        Ok(flushed)
    }

    fn file_at(&self, path: &EntryPath) -> Result<Entry, StoreError> {
        match self.entry(path)? {
            Some(entry) if !entry.is_folder() => Ok(entry),
            Some(_) => Err(StoreError::WrongKind),
            None => Err(StoreError::NotFound),
        }
    }

    /// Returns what is staged for the current version of the file.
    fn staged(&self, key: &str, entry: &Entry) -> Result<Option<Staged>, StoreError> {
        let Some(bytes) = self.appends.read(index(key)).if_found()? else {
            return Ok(None);
        };
        let staged: Option<Staged> = serde_json::from_slice(&bytes).ok();
        let staged = staged.filter(|staged| staged.base == entry.stamp);
        if staged.is_none() {
            self.forget_appends(key)?;
        }
        Ok(staged)
    }

    /// Assigns the staged data of version `from` to version `to`: only properties have changed.
    pub(super) fn rebase_appends(&self, key: &str, from: Stamp, to: Stamp) -> Result<(), StoreError> {
        let Some(bytes) = self.appends.read(index(key)).if_found()? else {
            return Ok(());
        };
        match serde_json::from_slice::<Staged>(&bytes) {
            Ok(staged) if staged.base == from => self.write_index(key, &Staged { base: to, ..staged }),
            _ => self.forget_appends(key),
        }
    }

    /// Writes the ranges atomically: if the emulator is killed, the previous ones remain.
    fn write_index(&self, key: &str, staged: &Staged) -> Result<(), StoreError> {
        let part = format!("{key}.part");
        let json = serde_json::to_vec(staged).map_err(io::Error::from)?;
        self.appends.write(&part, json)?;
        Ok(self.appends.rename(&part, &self.appends, index(key))?)
    }

    /// Discards what is staged.
    pub(super) fn forget_appends(&self, key: &str) -> Result<(), StoreError> {
        self.appends.remove_file(index(key)).if_found()?;
        self.appends.remove_file(key).if_found()?;
        Ok(())
    }
}

fn index(key: &str) -> String {
    format!("{key}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_in_any_order_become_one_range() {
        let mut staged = Staged {
            base: Stamp::default(),
            start: 10,
            ranges: Vec::new(),
        };
        staged.add(30, 40);
        staged.add(10, 20);
        assert!(!staged.ends_at(40), "a gap");
        staged.add(20, 30);
        assert!(staged.ends_at(40) && !staged.ends_at(39) && !staged.ends_at(41));
        staged.add(20, 30);
        assert!(staged.ends_at(40), "a repeated append changes nothing");
        staged.add(35, 50);
        assert!(staged.ends_at(50));
    }
}
