//! Opens the file store of a location.

use std::sync::Arc;

use crate::azure::connection::Connection;
use crate::files::local::LocalFiles;
use crate::files::onelake::OneLakeFiles;
use crate::files::{FileStore, OpenError};
use crate::location::Location;

/// Returns the file store of a location. There is no I/O before its first use.
///
/// # Errors
/// [`OpenError`].
pub fn open(location: &Location, connection: &Connection) -> Result<Arc<dyn FileStore>, OpenError> {
    match location {
        Location::Local(root) => Ok(Arc::new(LocalFiles::new(root.clone()))),
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
