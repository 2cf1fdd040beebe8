//! The object store behind a table: the one place that opens storage for Delta.

use std::sync::Arc;

use deltalake::logstore::object_store::ObjectStore;
use deltalake::logstore::object_store::local::LocalFileSystem;
use url::Url;

use crate::azure::connection::Connection;
use crate::location::Location;
use crate::tables::error::TableError;
use crate::tables::onelake_store::open_blobs;

/// Puts something between a table and its storage. For tests that lose answers and for stores that need their verbs changed.
pub type StoreWrapper = Arc<dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync>;

/// A store rooted where the URL's path starts, and the table's URL.
pub(crate) fn open_store(
    location: &Location,
    connection: &Connection,
    wrapper: Option<&StoreWrapper>,
) -> Result<(Arc<dyn ObjectStore>, Url), TableError> {
    let table = location.to_string();
    let (store, url): (Arc<dyn ObjectStore>, Url) = match location {
        Location::Local(path) => {
            let url = Url::from_directory_path(path)
                .map_err(|()| TableError::unavailable(&table, "open", "its path is not absolute"))?;
            (Arc::new(LocalFileSystem::new()), url)
        }
        Location::OneLake { workspace, host, .. } => {
            let http = connection
                .http()
                .ok_or_else(|| TableError::unavailable(&table, "open", "the connection is for a local folder"))?;
            let opened = Url::parse(&table).map_err(|error| error.to_string()).and_then(|url| {
                Ok((
                    open_blobs(http, workspace, host).map_err(|error| error.to_string())?,
                    url,
                ))
            });
            opened.map_err(|error| TableError::unavailable(&table, "open", error))?
        }
    };
    Ok((
        wrapper.map_or_else(|| Arc::clone(&store), |wrap| wrap(Arc::clone(&store))),
        url,
    ))
}
