//! Properties of files and folders: content type, metadata, the blocks of a blob.
//!
//! A file with properties has a record in `.onelake/properties` at its own path; `.d` is appended to the names of folders
//! and `.json` to those of records, so that they do not collide. The record has the version of the file. After a crash
//! between the two renames, or when a person has replaced the file, it is stale and ignored.

use std::collections::BTreeMap;
use std::io::{self, Read};

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entry::{Entry, Stamp};
use super::error::IfFound;
use super::folders::{open_folder, open_or_make_folder};
use super::path::EntryPath;

/// Limit on the size of a record in bytes.
const MAX_RECORD_BYTES: u64 = 16 * 1024 * 1024;

/// A block of a committed blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// In base64, as the client sent it.
    pub(crate) id: String,
    /// In bytes.
    pub(crate) size: u64,
}

/// The record of a file or folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Properties {
    /// The version of the file, set when the record is written; not used for folders.
    pub(crate) stamp: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_md5: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// The copy that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) copy_id: Option<String>,
    /// Whether the Data Lake protocol created it. The service stores such a file in another form: it does not accept blocks,
    /// and a whole blob replaces it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) by_dfs: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocks: Vec<Block>,
}

impl Properties {
    fn is_empty(&self) -> bool {
        let nothing = Self {
            stamp: self.stamp,
            ..Self::default()
        };
        *self == nothing
    }
}

/// The tree of records.
pub(super) struct Records(pub(super) Dir);

impl Records {
    /// Returns the record of `entry` at `path`; an empty one if there is none.
    pub(super) fn read(&self, path: &EntryPath, entry: &Entry) -> io::Result<Properties> {
        let (folder, name) = record_of(path, entry.is_folder());
        let read = open_folder(&self.0, &folder).and_then(|folder| folder.open(&name));
        let Some(file) = read.if_found()? else {
            return Ok(Properties::default());
        };
        let mut bytes = Vec::new();
        file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes)?;
        // A record that cannot be parsed was not written by the emulator, and is ignored.
        let record: Properties = serde_json::from_slice(&bytes).unwrap_or_default();
        let belongs = entry.is_folder() || record.stamp == entry.stamp;
        Ok(if belongs { record } else { Properties::default() })
    }

    /// Writes the record for the version `stamp`.
    pub(super) fn write(
        &self,
        path: &EntryPath,
        is_folder: bool,
        mut record: Properties,
        stamp: Stamp,
    ) -> io::Result<()> {
        if record.is_empty() {
            return self.remove(path, is_folder);
        }
        record.stamp = stamp;
        let (folder, name) = record_of(path, is_folder);
        let folder = open_or_make_folder(&self.0, &folder)?;
        let draft = format!(".{}", Uuid::new_v4().simple());
        folder.write(&draft, serde_json::to_vec(&record)?)?;
        folder.rename(&draft, &folder, &name)
    }

    pub(super) fn remove(&self, path: &EntryPath, is_folder: bool) -> io::Result<()> {
        let (folder, name) = record_of(path, is_folder);
        let removed = open_folder(&self.0, &folder).and_then(|folder| folder.remove_file(&name));
        removed.if_found().map(drop)
    }

    /// Moves the record of a file, or the records of a folder and everything below it, and replaces those at `to`.
    pub(super) fn rename(&self, from: &EntryPath, to: &EntryPath, is_folder: bool) -> io::Result<()> {
        let ((from_folder, from_name), (to_folder, to_name)) = if is_folder {
            (tree_of(from), tree_of(to))
        } else {
            (record_of(from, false), record_of(to, false))
        };
        let to_folder = open_or_make_folder(&self.0, &to_folder)?;
        let removed = if is_folder {
            to_folder.remove_dir_all(&to_name)
        } else {
            to_folder.remove_file(&to_name)
        };
        removed.if_found()?;
        let from_folder = open_folder(&self.0, &from_folder);
        let renamed = from_folder.and_then(|folder| folder.rename(&from_name, &to_folder, &to_name));
        renamed.if_found().map(drop)
    }

    /// Removes the record of a folder and those of everything below it.
    pub(super) fn remove_tree(&self, path: &EntryPath) -> io::Result<()> {
        let (folder, name) = tree_of(path);
        let removed = open_folder(&self.0, &folder).and_then(|folder| folder.remove_dir_all(&name));
        removed.if_found().map(drop)
    }
}

fn folders(segments: &[String]) -> Vec<String> {
    segments.iter().map(|segment| format!("{segment}.d")).collect()
}

/// Returns the folder and the name of a record.
fn record_of(path: &EntryPath, is_folder: bool) -> (Vec<String>, String) {
    if is_folder {
        return (folders(path.segments()), ".json".to_owned());
    }
    let (parents, name) = path.split();
    (folders(parents), format!("{name}.json"))
}

/// Returns the parent and the name of the folder that has the records of a folder.
fn tree_of(path: &EntryPath) -> (Vec<String>, String) {
    let (parents, name) = path.split();
    (folders(parents), format!("{name}.d"))
}
