//! What the service remembers of a file besides its bytes: content type, metadata, the blocks it was made of.
//!
//! A file without any of it has no such record. A record lies in `.onelake/properties` on the path of its file, folders
//! with `.d` and records with `.json` behind their names so that no two collide. It names the write that it belongs to: after a crash between
//! the two renames, or when a person replaced the file, it is stale and counts for nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entry::{Entry, Stamp};
use super::error::is_absence;
use super::path::EntryPath;
use super::{open_folder, open_or_make_folder};

/// A record is small; whatever is larger is not ours.
const MAX_RECORD_BYTES: u64 = 16 * 1024 * 1024;

/// A block of a committed blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// In base64, as the client sent it.
    pub(crate) id: String,
    /// In bytes.
    pub(crate) size: u64,
}

/// The record beside a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Properties {
    /// The write that it belongs to, set when the record is written; of a folder it says nothing.
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
    /// Which copy made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) copy_id: Option<String>,
    /// Whether the Data Lake protocol created it. The service keeps such a file in another form: blocks cannot be put to
    /// it, while a whole blob can be put over it.
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
    /// The record of `entry` at `path`; the empty one if there is none.
    pub(super) fn read(&self, path: &EntryPath, entry: &Entry) -> io::Result<Properties> {
        let (folder, name) = record_of(path, entry.is_folder());
        let read = open_folder(&self.0, &folder).and_then(|folder| folder.open(&name));
        let file = match read {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(Properties::default()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes)?;
        // Whatever cannot be read was not written by us, and counts for nothing either.
        let record: Properties = serde_json::from_slice(&bytes).unwrap_or_default();
        let belongs = entry.is_folder() || record.stamp == entry.stamp;
        Ok(if belongs { record } else { Properties::default() })
    }

    /// Writes the record that belongs to the write at `stamp`.
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
        match open_folder(&self.0, &folder).and_then(|folder| folder.remove_file(&name)) {
            Err(error) if !is_absence(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves the record of a file, or the records of a folder and all below it; what was at `to` goes.
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
        removed.or_else(|error| if is_absence(&error) { Ok(()) } else { Err(error) })?;
        let renamed =
            open_folder(&self.0, &from_folder).and_then(|folder| folder.rename(&from_name, &to_folder, &to_name));
        renamed.or_else(|error| if is_absence(&error) { Ok(()) } else { Err(error) })
    }

    /// Forgets a folder's record and those of all below it.
    pub(super) fn remove_tree(&self, path: &EntryPath) -> io::Result<()> {
        let (folder, name) = tree_of(path);
        match open_folder(&self.0, &folder).and_then(|folder| folder.remove_dir_all(&name)) {
            Err(error) if !is_absence(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn folders(segments: &[String]) -> Vec<String> {
    segments.iter().map(|segment| format!("{segment}.d")).collect()
}

/// The folder and the name of a record.
fn record_of(path: &EntryPath, is_folder: bool) -> (Vec<String>, String) {
    if is_folder {
        return (folders(path.segments()), ".json".to_owned());
    }
    let (parents, name) = path.split();
    (folders(parents), format!("{name}.json"))
}

/// The folder that holds a folder's records, and its name.
fn tree_of(path: &EntryPath) -> (Vec<String>, String) {
    let (parents, name) = path.split();
    (folders(parents), format!("{name}.d"))
}
