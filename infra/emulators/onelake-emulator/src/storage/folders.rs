//! Opening folders and files without following links.

use std::fs::File;
use std::io;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions};

use super::error::{StoreError, is_absence};

/// Opens a folder name by name, so that no link is followed.
pub(super) fn open_folder(root: &Dir, segments: &[String]) -> io::Result<Dir> {
    segments
        .iter()
        .try_fold(root.try_clone()?, |folder, name| folder.open_dir_nofollow(name))
}

/// The same, and creates missing folders.
pub(super) fn open_or_make_folder(root: &Dir, segments: &[String]) -> io::Result<Dir> {
    segments
        .iter()
        .try_fold(root.try_clone()?, |folder, name| match folder.open_dir_nofollow(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match folder.create_dir(name) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                folder.open_dir_nofollow(name)
            }
            opened => opened,
        })
}

/// Opens a file for reading, unless it is a link.
pub(super) fn open_file(folder: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No);
    folder.open_with(name, &options).map(cap_std::fs::File::into_std)
}

/// Maps the error of creating a folder where a file or a link exists.
pub(super) fn not_a_folder(error: io::Error) -> StoreError {
    if is_absence(&error) {
        StoreError::WrongKind
    } else {
        error.into()
    }
}
