//! Settings to tables.

use std::sync::Arc;

use xact_config::Settings;
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::Stage;
use xact_lake::{AttachmentRow, Connection, EventRow, FailedRow, Location, Table, TableOptions, TableRow};
use xact_runtime::SetupError;
use xact_telemetry::metrics::count_onelake;

/// Rows of a table whose location is a setting.
pub trait Configured: TableRow {
    /// The environment variable of the setting.
    const VARIABLE: &str;

    /// The stage that writes the rows.
    const STAGE: Stage;

    /// Returns the value of the setting; empty if it is not set.
    fn path(settings: &Settings) -> &str;
}

impl Configured for EventRow {
    const VARIABLE: &str = "DELTA_EVENTS_TABLE_PATH";
    const STAGE: Stage = Stage::EventWriter;

    fn path(settings: &Settings) -> &str {
        &settings.events_table
    }
}

impl Configured for AttachmentRow {
    const VARIABLE: &str = "DELTA_INVENTORY_TABLE_PATH";
    const STAGE: Stage = Stage::ResultProcessor;

    fn path(settings: &Settings) -> &str {
        &settings.attachments_table
    }
}

impl Configured for FailedRow {
    const VARIABLE: &str = "DELTA_FAILED_TABLE_PATH";
    const STAGE: Stage = Stage::ResultProcessor;

    fn path(settings: &Settings) -> &str {
        &settings.failed_table
    }
}

/// Reasons why a configured table cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenTableError {
    /// The setting is missing.
    #[error(
        "{variable} is not set: set it to the location of table {table} (abfss://… or file:///…), or set ENABLE_DELTA_WRITES=false"
    )]
    NotSet {
        /// The environment variable.
        variable: &'static str,
        /// The name of the table.
        table: &'static str,
    },
    /// The setting is not a location, or there is no identity for OneLake.
    #[error("{variable}: {reason}")]
    Unusable {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong, redacted.
        reason: String,
    },
}

impl From<OpenTableError> for SetupError {
    fn from(error: OpenTableError) -> Self {
        Self::new(error)
    }
}

/// Returns the configured table of these rows. No I/O happens yet.
///
/// # Errors
/// When the setting is missing or not a valid location, or no identity for OneLake is configured.
pub fn table<R: Configured>(settings: &Settings) -> Result<Table<R>, OpenTableError> {
    let (variable, path) = (R::VARIABLE, R::path(settings));
    if path.is_empty() {
        return Err(OpenTableError::NotSet {
            variable,
            table: R::NAME,
        });
    }
    let unusable = |reason: String| OpenTableError::Unusable {
        variable,
        reason: redact_text(&reason),
    };
    let location = Location::parse(path).map_err(|error| unusable(error.to_string()))?;
    let connection = Connection::to(&location, || settings.identity(), settings.ca_file())
        .map_err(|error| unusable(error.to_string()))?;
    let connection = connection.observed(Arc::new(|operation, class, price| {
        count_onelake(R::STAGE, R::NAME, operation, class, price);
    }));
    let options = TableOptions {
        connection,
        ..TableOptions::default()
    };
    Ok(Table::new(location, options))
}
