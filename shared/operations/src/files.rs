//! The files in the lake.

use std::sync::Arc;

use xact_config::Settings;
use xact_lake::{ConnectError, Connection, FileStore, Location, LocationError, OpenError};

/// Reasons why the files cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFilesError {
    /// The setting is missing.
    #[error("ONELAKE_BASE_PATH is not set: name where the files go (abfss://… or file:///…)")]
    NotSet,
    /// The setting is not a location.
    #[error("ONELAKE_BASE_PATH: {0}")]
    Location(#[from] LocationError),
    /// There is no identity for OneLake.
    #[error("ONELAKE_BASE_PATH: {0}")]
    Connect(#[from] ConnectError),
    /// The store does not open.
    #[error("ONELAKE_BASE_PATH: {0}")]
    Open(#[from] OpenError),
}

/// Opens the files that the settings name. No I/O happens yet.
///
/// # Errors
/// When `ONELAKE_BASE_PATH` is missing or not a folder, or there is no identity for OneLake.
pub fn open(settings: &Settings) -> Result<Arc<dyn FileStore>, OpenFilesError> {
    if settings.onelake_base_path.is_empty() {
        return Err(OpenFilesError::NotSet);
    }
    let location = Location::parse(&settings.onelake_base_path)?;
    let connection = Connection::to(&location, || settings.identity(), settings.ca_file())?;
    Ok(xact_lake::open(&location, &connection)?)
}
