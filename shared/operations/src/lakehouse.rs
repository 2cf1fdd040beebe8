//! Whether the tables are where their lakehouse has tables.

use std::time::Duration;

use xact_config::Settings;
use xact_lake::{Connection, LakehouseKind, Location, TablePlace};
use xact_table_sink::Configured;

/// Longest wait for a listing, so that the check of the table has time to report the reason.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// The place of a table, compared with the kind of its lakehouse.
pub(crate) enum Placement {
    /// The table is not in a lakehouse.
    NotInLakehouse,
    /// Fabric finds it there.
    Right(LakehouseKind),
    /// Fabric does not find it there: what to do.
    Wrong(String),
    /// The lakehouse does not show its kind: what to look at.
    Undecided(String),
    /// The lakehouse cannot be listed: why.
    Unknown(String),
}

/// Lists the lakehouse of the configured table of these rows. It writes nothing: a folder `dbo` in a lakehouse without schemas
/// would look like a schema.
pub(crate) async fn placement<R: Configured>(settings: &Settings) -> Placement {
    // The check of the table reports a path that is not a location.
    let Ok(location) = Location::parse(R::path(settings)) else {
        return Placement::NotInLakehouse;
    };
    let Some(place) = TablePlace::of(&location) else {
        return Placement::NotInLakehouse;
    };
    let unknown = |reason: String| Placement::Unknown(format!("the kind of the lakehouse cannot be read: {reason}"));
    let connection = match Connection::to(&location, || settings.identity(), settings.ca_file()) {
        Ok(connection) => connection,
        Err(error) => return unknown(error.to_string()),
    };
    let kind = match tokio::time::timeout(LIST_TIMEOUT, LakehouseKind::read(&location, &connection)).await {
        Ok(Ok(kind)) => kind,
        Ok(Err(error)) => return unknown(error.to_string()),
        Err(_) => return unknown(format!("no answer within {} s", LIST_TIMEOUT.as_secs())),
    };
    match kind.accepts(place) {
        Some(true) => Placement::Right(kind),
        Some(false) => Placement::Wrong(remedy::<R>(&location, place)),
        None => Placement::Undecided(format!(
            "{location}: Tables/ has no folder, so whether the lakehouse has schemas cannot be decided. Nothing was written. \
             Open the lakehouse in Fabric: if it shows the schema dbo, the path is right; if not, deploy with an empty \
             fabric.schema (XACT_FABRIC_SCHEMA=), or set {} to a folder directly below Tables/",
            R::VARIABLE
        )),
    }
}

fn remedy<R: Configured>(location: &Location, place: TablePlace) -> String {
    let (has, where_tables_are, schema) = match place {
        TablePlace::Direct => (
            "has schemas",
            "below a schema, as in Tables/dbo/",
            "XACT_FABRIC_SCHEMA=dbo",
        ),
        TablePlace::InSchema => (
            "has no schemas",
            "directly below Tables/, as in Tables/",
            "XACT_FABRIC_SCHEMA=",
        ),
    };
    format!(
        "{location}: the lakehouse {has}, so its tables are {where_tables_are}{}. Elsewhere Fabric shows \"Unidentified\", without \
         SQL endpoint. Before events arrive, deploy with that fabric.schema ({schema}), or set {}",
        R::NAME,
        R::VARIABLE
    )
}
