//! A file in the hidden folder, until it is renamed to its path or deleted.

use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};
use uuid::Uuid;

/// A hidden file of one request. Dropping it deletes the file, unless the file was moved or is kept.
pub(crate) struct Draft {
    folder: Arc<Dir>,
    name: String,
    is_kept: bool,
}

impl Draft {
    pub(crate) fn create(folder: &Arc<Dir>) -> io::Result<(Self, File)> {
        let name = Uuid::new_v4().simple().to_string();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = folder.open_with(&name, &options)?.into_std();
        let draft = Self {
            folder: Arc::clone(folder),
            name,
            is_kept: false,
        };
        Ok((draft, file))
    }

    /// Returns the hidden file `name` of a folder; dropping the draft keeps the file.
    pub(crate) fn kept(folder: &Arc<Dir>, name: &str) -> Self {
        Self {
            folder: Arc::clone(folder),
            name: name.to_owned(),
            is_kept: true,
        }
    }

    pub(crate) fn open(&self) -> io::Result<File> {
        self.folder.open(&self.name).map(cap_std::fs::File::into_std)
    }

    /// Renames it to `name` in `folder`, and replaces a file there.
    pub(crate) fn move_to(&self, folder: &Dir, name: &str) -> io::Result<()> {
        self.folder.rename(&self.name, folder, name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // Fails if the file was moved. If a deletion fails, the next start clears the folder.
            let _ = self.folder.remove_file(&self.name);
        }
    }
}
