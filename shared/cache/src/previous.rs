//! Files in the previous layout: `{first two digits}/{media_id}/file` next to `note.json`. They are read and removed, and
//! never written.

use std::fs::File;
use std::io;

use cap_std::fs::Dir;
use uuid::Uuid;

use crate::folders::{Folders, MissingShard, open_folder};
use crate::footer::FileInfo;
use crate::regular_file;
use xact_contracts::cache_path::{self, PREVIOUS_FILE, PREVIOUS_NOTE};

/// Returns what the note says of a complete file, if the file exists and has the size in the note.
pub(crate) fn complete_file(folders: &Folders, media_id: Uuid) -> io::Result<Option<FileInfo>> {
    let (shard, name) = shard(folders, media_id)?;
    let folder = open_folder(&shard, &name)?;
    let note = match regular_file::open(&folder, PREVIOUS_NOTE)? {
        Some((file, _)) => serde_json::from_reader::<_, FileInfo>(io::BufReader::new(file)).ok(),
        None => None,
    };
    let (Some(info), Some((_, length))) = (note, regular_file::open(&folder, PREVIOUS_FILE)?) else {
        return Ok(None);
    };
    Ok((length == info.bytes).then_some(info))
}

/// Opens the complete file and returns it with its size; `None` if it is not a regular file.
pub(crate) fn open(folders: &Folders, media_id: Uuid) -> io::Result<Option<(File, u64)>> {
    let (shard, name) = shard(folders, media_id)?;
    regular_file::open(&open_folder(&shard, &name)?, PREVIOUS_FILE)
}

/// Removes the complete file, if it exists, and its folder with everything that attempts left in it.
pub(crate) fn remove(folders: &Folders, media_id: Uuid) -> io::Result<()> {
    let (shard, name) = shard(folders, media_id)?;
    // The file goes first, so that an interrupted removal does not leave a file without its note.
    match open_folder(&shard, &name)?.remove_file(PREVIOUS_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => shard.remove_dir_all(name),
    }
}

/// Returns the shard of an attachment, and the name of the attachment's folder in it.
fn shard(folders: &Folders, media_id: Uuid) -> io::Result<(Dir, String)> {
    let (shard, name) = cache_path::previous_folder(media_id);
    let root = folders.root(MissingShard::Fail)?;
    Ok((open_folder(&root, &shard)?, name))
}
