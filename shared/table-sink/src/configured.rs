//! Settings to tables.

use std::sync::Arc;

use xact_config::Settings;
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::{Stage, TopicRole};
use xact_lake::{
    AttachmentRow, Connection, EventRow, FailedRow, Location, ReconciliationRow, Table, TableOptions, TableRow,
};
use xact_runtime::SetupError;
use xact_telemetry::metrics::count_onelake;

/// Rows of a table whose location is a setting.
pub trait Configured: TableRow {
    /// The environment variable of the setting.
    const VARIABLE: &str;

    /// The stage that writes the rows, and the topic that it reads; `None` for rows of a command.
    const SOURCE: Option<(Stage, TopicRole)>;

    /// Returns the value of the setting; empty if it is not set.
    fn path(settings: &Settings) -> &str;
}

impl Configured for EventRow {
    const VARIABLE: &str = "DELTA_EVENTS_TABLE_PATH";
    const SOURCE: Option<(Stage, TopicRole)> = Some((Stage::EventWriter, TopicRole::Raw));

    fn path(settings: &Settings) -> &str {
        &settings.events_table
    }
}

impl Configured for AttachmentRow {
    const VARIABLE: &str = "DELTA_INVENTORY_TABLE_PATH";
    const SOURCE: Option<(Stage, TopicRole)> = Some((Stage::ResultProcessor, TopicRole::Results));

    fn path(settings: &Settings) -> &str {
        &settings.attachments_table
    }
}

impl Configured for FailedRow {
    const VARIABLE: &str = "DELTA_FAILED_TABLE_PATH";
    const SOURCE: Option<(Stage, TopicRole)> = Some((Stage::ResultProcessor, TopicRole::Results));

    fn path(settings: &Settings) -> &str {
        &settings.failed_table
    }
}

impl Configured for ReconciliationRow {
    const VARIABLE: &str = "DELTA_RECONCILIATION_TABLE_PATH";
    const SOURCE: Option<(Stage, TopicRole)> = None;

    fn path(settings: &Settings) -> &str {
        &settings.reconciliation_table
    }
}

/// Reasons why a configured table cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenTableError {
    /// The setting is missing.
    #[error("{variable} is not set: set it to the location of table {table} (abfss://… or file:///…){otherwise}")]
    NotSet {
        /// The environment variable.
        variable: &'static str,
        /// The name of the table.
        table: &'static str,
        /// The alternative, if there is one.
        otherwise: &'static str,
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
            otherwise: R::SOURCE.map_or("", |_| ", or set ENABLE_DELTA_WRITES=false"),
        });
    }
    let unusable = |reason: String| OpenTableError::Unusable {
        variable,
        reason: redact_text(&reason),
    };
    let location = Location::parse(path).map_err(|error| unusable(error.to_string()))?;
    let mut connection = Connection::to(&location, || settings.identity(), settings.ca_file())
        .map_err(|error| unusable(error.to_string()))?;
    if let Some((stage, _)) = R::SOURCE {
        connection = connection.observed(Arc::new(move |operation, class, price| {
            count_onelake(stage, R::NAME, operation, class, price);
        }));
    }
    let options = TableOptions {
        connection,
        ..TableOptions::default()
    };
    Ok(Table::new(location, options))
}
