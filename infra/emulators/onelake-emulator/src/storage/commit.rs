//! Operations that change names: writing a file, creating a folder, renaming, removing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use uuid::Uuid;

use super::conditions::Conditions;
use super::folders::{not_a_folder, open_file, open_folder, open_or_make_folder};
use super::{Draft, Entry, EntryPath, IfFound, Properties, Stamp, Storage, StoreError, upload_key};

impl Storage {
    /// Writes a draft to a path, if the conditions hold. `properties` gets those of the previous file. Missing folders are
    /// created, and uncommitted data of the path is discarded.
    pub(crate) fn put(
        &self,
        path: &EntryPath,
        draft: &Draft,
        conditions: &Conditions,
        properties: impl FnOnce(Properties) -> Properties,
    ) -> Result<Entry, StoreError> {
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        let entry = self.put_at(path, draft, conditions, None, properties)?;
        self.forget_appends(&key)?;
        self.forget_blocks(&key)?;
        Ok(entry)
    }

    /// The same with the uploads of the path locked; with `base`, only over that version of the file.
    pub(super) fn put_at(
        &self,
        path: &EntryPath,
        draft: &Draft,
        conditions: &Conditions,
        base: Option<Stamp>,
        properties: impl FnOnce(Properties) -> Properties,
    ) -> Result<Entry, StoreError> {
        let (parents, name) = path.split();
        let _names = self.names.write();
        let current = self.entry(path)?;
        conditions.check_write(current.as_ref())?;
        if base.is_some() && current.map(|current| current.stamp) != base {
            return Err(StoreError::WrongPosition);
        }
        if current.is_some_and(|current| current.is_folder()) {
            return Err(StoreError::WrongKind);
        }
        let before = match &current {
            Some(current) => self.records.read(path, current)?,
            None => Properties::default(),
        };
        let folder = open_or_make_folder(&self.root, parents).map_err(not_a_folder)?;
        let stamp = self.clock.next();
        draft.open()?.set_modified(stamp.time())?;
        self.records.write(path, false, properties(before), stamp)?;
        draft.move_to(&folder, name)?;
        self.entry(path)?.ok_or(StoreError::NotFound)
    }

    /// Creates a folder; an existing one gets the new properties, if the conditions hold.
    pub(crate) fn put_folder(
        &self,
        path: &EntryPath,
        conditions: &Conditions,
        properties: Properties,
    ) -> Result<Entry, StoreError> {
        let _names = self.names.write();
        let current = self.entry(path)?;
        conditions.check_write(current.as_ref())?;
        if current.is_some_and(|current| !current.is_folder()) {
            return Err(StoreError::WrongKind);
        }
        open_or_make_folder(&self.root, path.segments()).map_err(not_a_folder)?;
        self.records.write(path, true, properties, Stamp::default())?;
        self.entry(path)?.ok_or(StoreError::NotFound)
    }

    /// Changes the properties of a file or folder; a file gets a new ETag.
    pub(crate) fn change(
        &self,
        path: &EntryPath,
        conditions: &Conditions,
        change: impl FnOnce(&mut Properties),
    ) -> Result<Entry, StoreError> {
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        let (before, after) = self.change_at(path, conditions, change)?;
        self.rebase_appends(&key, before.stamp, after.stamp)?;
        Ok(after)
    }

    /// The same with the uploads of the path locked; returns the entry before and after.
    pub(super) fn change_at(
        &self,
        path: &EntryPath,
        conditions: &Conditions,
        change: impl FnOnce(&mut Properties),
    ) -> Result<(Entry, Entry), StoreError> {
        let _names = self.names.write();
        let before = self.entry(path)?.ok_or(StoreError::NotFound)?;
        conditions.check_write(Some(&before))?;
        let mut properties = self.records.read(path, &before)?;
        change(&mut properties);
        let stamp = self.clock.next();
        self.records.write(path, before.is_folder(), properties, stamp)?;
        if !before.is_folder() {
            let (parents, name) = path.split();
            open_file(&open_folder(&self.root, parents)?, name)?.set_modified(stamp.time())?;
        }
        Ok((before, self.entry(path)?.ok_or(StoreError::NotFound)?))
    }

    /// Moves a file or a folder with its content and properties; a file at the new path is replaced.
    pub(crate) fn rename(
        &self,
        from: &EntryPath,
        to: &EntryPath,
        of_source: &Conditions,
        of_target: &Conditions,
    ) -> Result<Entry, StoreError> {
        if from != to && from.contains(to) {
            return Err(StoreError::IntoItself);
        }
        let (from_parents, from_name) = from.split();
        let (to_parents, to_name) = to.split();
        let keys = [upload_key(from), upload_key(to)];
        let entry = {
            let _names = self.names.write();
            let source = self.entry(from)?.ok_or(StoreError::SourceNotFound)?;
            of_source.check_write(Some(&source))?;
            let target = self.entry(to)?;
            of_target.check_write(target.as_ref())?;
            if from == to {
                return Ok(source);
            }
            match target {
                Some(target) if target.is_folder() != source.is_folder() => return Err(StoreError::WrongKind),
                Some(target) if target.is_folder() && !self.is_empty(to)? => return Err(StoreError::NotEmpty),
                _ => {}
            }
            let to_folder = open_folder(&self.root, to_parents).if_found()?;
            let to_folder = to_folder.ok_or(StoreError::ParentNotFound)?;
            let from_folder = open_folder(&self.root, from_parents)?;
            self.records.rename(from, to, source.is_folder())?;
            from_folder.rename(from_name, &to_folder, to_name)?;
            self.entry(to)?.ok_or(StoreError::NotFound)?
        };
        for key in &keys {
            let _upload = self.uploads_to(key);
            self.forget_appends(key)?;
        }
        Ok(entry)
    }

    /// Removes a file or a folder; a folder that is not empty only if `recursive`.
    pub(crate) fn remove(&self, path: &EntryPath, recursive: bool, conditions: &Conditions) -> Result<(), StoreError> {
        let trash_name = Uuid::new_v4().simple().to_string();
        let (parents, name) = path.split();
        {
            let _names = self.names.write();
            let current = self.entry(path)?.ok_or(StoreError::NotFound)?;
            conditions.check_write(Some(&current))?;
            let folder = open_folder(&self.root, parents)?;
            if !current.is_folder() {
                folder.remove_file(name)?;
                self.records.remove(path, false)?;
            } else if recursive {
                // One rename removes the whole folder at once.
                folder.rename(name, &self.trash, &trash_name)?;
                self.records.remove_tree(path)?;
            } else {
                folder.remove_dir(name).map_err(|error| match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty => StoreError::NotEmpty,
                    _ => error.into(),
                })?;
                self.records.remove_tree(path)?;
            }
        }
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        self.forget_appends(&key)?;
        self.forget_blocks(&key)?;
        self.trash.remove_dir_all(&trash_name).if_found()?;
        Ok(())
    }

    /// Returns a draft with a copy of a file, and its properties.
    pub(crate) fn copy_of(&self, path: &EntryPath, conditions: &Conditions) -> Result<(Draft, Properties), StoreError> {
        let (entry, properties, file) = self.read(path).if_found()?.ok_or(StoreError::SourceNotFound)?;
        conditions.check_write(Some(&entry))?;
        let whole = Part::whole(file.ok_or(StoreError::WrongKind)?, entry.length);
        Ok((self.joined([Ok(whole)])?, properties))
    }

    fn is_empty(&self, path: &EntryPath) -> Result<bool, StoreError> {
        Ok(open_folder(&self.root, path.segments())?.entries()?.next().is_none())
    }

    /// Returns a draft with the bytes of `parts`, one after the other.
    pub(super) fn joined(&self, parts: impl IntoIterator<Item = io::Result<Part>>) -> Result<Draft, StoreError> {
        let (draft, mut file) = self.draft()?;
        for part in parts {
            // Between files, the kernel copies the bytes or shares the blocks on disk.
            let mut part = part?;
            part.from.seek(SeekFrom::Start(part.offset))?;
            if io::copy(&mut part.from.take(part.length), &mut file)? != part.length {
                let reason = "the file was truncated while it was copied";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason).into());
            }
        }
        Ok(draft)
    }
}

/// Bytes of a file.
pub(super) struct Part {
    pub(super) from: File,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Part {
    pub(super) fn whole(from: File, length: u64) -> Self {
        let offset = 0;
        Self { from, offset, length }
    }
}
