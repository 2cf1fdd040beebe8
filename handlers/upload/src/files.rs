//! The files in the lake, opened as the settings say.

use std::fmt::Display;
use std::sync::Arc;

use xact_config::Settings;
use xact_contracts::topology::Stage;
use xact_lake::{Connection, FileStore, Location};
use xact_runtime::SetupError;
use xact_telemetry::metrics::count_onelake;

/// Label of requests for files in the OneLake metrics.
const FILES: &str = "files";

/// Opens the files that the settings name; their requests are counted. No I/O happens yet.
///
/// # Errors
/// When `ONELAKE_BASE_PATH` is missing or not a folder, or there is no identity for OneLake.
pub fn open_files(settings: &Settings) -> Result<Arc<dyn FileStore>, SetupError> {
    if settings.onelake_base_path.is_empty() {
        return Err(SetupError::new(
            "ONELAKE_BASE_PATH is not set: name where the files go (abfss://… or file:///…)",
        ));
    }
    let location = Location::parse(&settings.onelake_base_path).map_err(setup_error)?;
    let connection = Connection::to(&location, || settings.identity(), settings.ca_file()).map_err(setup_error)?;
    let connection = connection.observed(Arc::new(|operation, class, price| {
        count_onelake(Stage::Upload, FILES, operation, class, price);
    }));
    xact_lake::open(&location, &connection).map_err(setup_error)
}

fn setup_error(error: impl Display) -> SetupError {
    SetupError::new(format_args!("ONELAKE_BASE_PATH: {error}"))
}
