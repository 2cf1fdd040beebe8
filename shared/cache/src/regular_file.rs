//! Opening a regular file of the cache without following a link.

use std::fs::File;
use std::io;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a file directly below `folder` for reading. Returns it with its size, or `None` for a link or anything else that
/// is not a regular file.
pub(crate) fn open(folder: &Dir, name: &str) -> io::Result<Option<(File, u64)>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .follow(FollowSymlinks::No)
        // Opening a pipe would otherwise block until it has a writer.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = match folder.open_with(name, &options) {
        Err(error) if is_link_or_socket(&error) => return Ok(None),
        opened => opened?.into_std(),
    };
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

fn is_link_or_socket(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [Errno::LOOP, Errno::NXIO]
        .map(|expected| Some(expected.raw_os_error()))
        .contains(&errno)
}
