//! Opens the file store of a location, or of the setting that names it.

use std::sync::Arc;

use crate::azure::connection::{ConnectError, Connection};
use crate::files::local::LocalFiles;
use crate::files::onelake::OneLakeFiles;
use crate::files::{FileStore, OpenError};
use crate::location::{Location, LocationError};

/// Returns the file store of a location. There is no I/O before its first use.
///
/// # Errors
/// [`OpenError`].
pub fn open(location: &Location, connection: &Connection) -> Result<Arc<dyn FileStore>, OpenError> {
    match location {
        Location::Local(root) => Ok(Arc::new(LocalFiles(root.clone()))),
        Location::OneLake { workspace, host, path } => {
            let http = connection
                .http()
                .ok_or_else(|| OpenError::NotConnected(location.to_string()))?;
            // Fabric creates items and their first folders; only in Files can other folders be created.
            match path.split('/').nth(1) {
                Some("Files") => Ok(Arc::new(OneLakeFiles::new(http, workspace, host, path)?)),
                _ => Err(OpenError::Folder(location.to_string())),
            }
        }
    }
}

/// Reasons why the files that `ONELAKE_BASE_PATH` names cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFilesError {
    /// The setting is missing.
    #[error("ONELAKE_BASE_PATH is not set: name where the files go (abfss://… or file:///…)")]
    NotSet,
    /// The setting is not a location.
    #[error("ONELAKE_BASE_PATH: {0}")]
    Location(#[from] LocationError),
    /// OneLake has no identity or certificates to connect with.
    #[error("ONELAKE_BASE_PATH: {0}")]
    Connect(#[from] ConnectError),
    /// The store does not open.
    #[error("ONELAKE_BASE_PATH: {0}")]
    Open(#[from] OpenError),
}

/// Opens the files at `base_path`, the value of `ONELAKE_BASE_PATH`, over the connection that `connect` makes. No I/O happens
/// yet.
///
/// # Errors
/// [`OpenFilesError`].
pub fn open_files(
    base_path: &str,
    connect: impl FnOnce(&Location) -> Result<Connection, ConnectError>,
) -> Result<Arc<dyn FileStore>, OpenFilesError> {
    if base_path.is_empty() {
        return Err(OpenFilesError::NotSet);
    }
    let location = Location::parse(base_path)?;
    let connection = connect(&location)?;
    Ok(open(&location, &connection)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_lake_location_needs_its_connection() {
        let location = Location::parse("abfss://ws@onelake.dfs.fabric.microsoft.com/item/Files").unwrap();
        let error = open(&location, &Connection::local()).err().unwrap();
        assert!(matches!(error, OpenError::NotConnected(_)), "{error}");
    }
}
