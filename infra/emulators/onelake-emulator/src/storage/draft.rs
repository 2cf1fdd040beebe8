//! A file that nobody sees yet: it lies in the hidden folder until it is renamed into its place, or goes.

use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};
use uuid::Uuid;

/// A hidden file of one request. Dropping it removes it, unless it was moved away before, or is kept.
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

    /// The hidden file `name` of a folder, which stays when the draft goes.
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

    /// Renames it to `name` in `folder`, over whatever file is there.
    pub(crate) fn move_to(&self, folder: &Dir, name: &str) -> io::Result<()> {
        self.folder.rename(&self.name, folder, name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // It is gone if it was moved; else the next start clears the folder.
            let _ = self.folder.remove_file(&self.name);
        }
    }
}
