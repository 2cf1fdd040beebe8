//! Opening a file of the cache: one call, and one to see what it is.

use std::fs::File;
use std::io;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a file right below `folder` to read it. Returns it with its size, or `None` for a link or anything else that is
/// not a regular file.
pub(crate) fn open(folder: &Dir, name: &str) -> io::Result<Option<(File, u64)>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .follow(FollowSymlinks::No)
        // A pipe would wait for its writer.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = match folder.open_with(name, &options) {
        // A link, or a socket.
        Err(error) if is_one_of(&error, [Errno::LOOP, Errno::NXIO]) => return Ok(None),
        opened => opened?.into_std(),
    };
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

fn is_one_of(error: &io::Error, numbers: [Errno; 2]) -> bool {
    let number = error.raw_os_error();
    numbers.iter().any(|expected| number == Some(expected.raw_os_error()))
}
