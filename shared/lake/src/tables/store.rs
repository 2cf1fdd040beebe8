//! The object store of a table: the one place that opens storage for Delta.

use std::sync::Arc;

use deltalake::logstore::object_store::ObjectStore;
use deltalake::logstore::object_store::local::LocalFileSystem;
use url::Url;

use crate::azure::connection::Connection;
use crate::location::Location;
use crate::tables::error::TableErrorKind;
use crate::tables::onelake_store;

/// Wraps the object store of a table. For tests that inject faults.
pub type StoreWrapper = Arc<dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync>;

/// Returns a store whose root is the root of the URL's path, and the table's URL.
pub(crate) fn open_store(
    location: &Location,
    connection: &Connection,
    wrapper: Option<&StoreWrapper>,
) -> Result<(Arc<dyn ObjectStore>, Url), TableErrorKind> {
    let failed = |reason: String| TableErrorKind::unavailable("open it", reason);
    let (store, url): (Arc<dyn ObjectStore>, Url) = match location {
        Location::Local(path) => {
            let url = Url::from_directory_path(path).map_err(|()| failed("its path is not absolute".to_owned()))?;
            (Arc::new(LocalFileSystem::new()), url)
        }
        Location::OneLake { workspace, host, .. } => {
            let http = connection.http();
            let http = http.ok_or_else(|| failed("the connection is for a local folder".to_owned()))?;
            let url = Url::parse(&location.to_string()).map_err(|error| failed(error.to_string()))?;
            let store = onelake_store::open(http, workspace, host).map_err(|error| failed(error.to_string()))?;
            (store, url)
        }
    };
    let store = match wrapper {
        Some(wrap) => wrap(store),
        None => store,
    };
    Ok((store, url))
}
