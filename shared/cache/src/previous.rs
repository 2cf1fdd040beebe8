//! Files in the previous layout, `{first two digits}/{media_id}/file` with a `note.json` beside it: found, read and
//! removed, and never written.

use std::fs::File;
use std::io;

use cap_std::fs::Dir;
use uuid::Uuid;

use crate::file;
use crate::folders::{Folders, MissingShard, open_folder};
use crate::note::Cached;
use xact_contracts::cache_path::{self, PREVIOUS_FILE, PREVIOUS_NOTE};

/// The complete file of an earlier attempt, if it is there with the size in its note.
pub(crate) fn finished(folders: &Folders, media_id: Uuid) -> io::Result<Option<Cached>> {
    let (shard, name) = shard(folders, media_id)?;
    let folder = open_folder(&shard, &name)?;
    let note = match file::open(&folder, PREVIOUS_NOTE)? {
        Some((file, _)) => serde_json::from_reader::<_, Cached>(io::BufReader::new(file)).ok(),
        None => None,
    };
    let (Some(cached), Some((_, length))) = (note, file::open(&folder, PREVIOUS_FILE)?) else {
        return Ok(None);
    };
    Ok((length == cached.bytes).then_some(cached))
}

/// Opens the complete file, with its size; `None` if it is not a regular file.
pub(crate) fn open(folders: &Folders, media_id: Uuid) -> io::Result<Option<(File, u64)>> {
    let (shard, name) = shard(folders, media_id)?;
    file::open(&open_folder(&shard, &name)?, PREVIOUS_FILE)
}

/// Removes the complete file, if it is there, and its folder with all that attempts left in it.
pub(crate) fn remove(folders: &Folders, media_id: Uuid) -> io::Result<()> {
    let (shard, name) = shard(folders, media_id)?;
    // The file first: a note without its file means nothing, a file without its note would.
    match open_folder(&shard, &name)?.remove_file(PREVIOUS_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => shard.remove_dir_all(name),
    }
}

/// The shard of an attachment, and the name of the attachment's folder there.
fn shard(folders: &Folders, media_id: Uuid) -> io::Result<(Dir, String)> {
    let (shard, name) = cache_path::previous_folder(media_id);
    let root = folders.root(MissingShard::Fail)?;
    Ok((open_folder(&root, &shard)?, name))
}
