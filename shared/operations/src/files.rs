//! The files in the lake, for operations on them.

use std::sync::Arc;

use xact_config::Settings;
use xact_lake::{Connection, FileStore, OpenFilesError};

/// Opens the files that the settings name. No I/O happens yet.
pub(crate) fn open(settings: &Settings) -> Result<Arc<dyn FileStore>, OpenFilesError> {
    xact_lake::open_files(&settings.onelake_base_path, |location| {
        Connection::to(location, || settings.identity(), settings.ca_file())
    })
}
