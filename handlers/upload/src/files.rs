//! The files in the lake, opened as the settings say.

use std::sync::Arc;

use xact_config::Settings;
use xact_contracts::topology::Stage;
use xact_lake::{Connection, FileStore};
use xact_runtime::SetupError;
use xact_telemetry::metrics::count_onelake;

/// Label of requests for files in the OneLake metrics.
const FILES: &str = "files";

/// Opens the files that the settings name; their requests are counted. No I/O happens yet.
///
/// # Errors
/// When `ONELAKE_BASE_PATH` is missing or invalid, or OneLake has no identity to connect with.
pub fn open_files(settings: &Settings) -> Result<Arc<dyn FileStore>, SetupError> {
    let connect = |location: &_| {
        let connection = Connection::to(location, || settings.identity(), settings.ca_file())?;
        Ok(connection.observed(Arc::new(|operation, class, price| {
            count_onelake(Stage::Upload, FILES, operation, class, price);
        })))
    };
    xact_lake::open_files(&settings.onelake_base_path, connect).map_err(SetupError::new)
}
