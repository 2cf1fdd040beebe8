//! The kind of a lakehouse, which decides where its tables are: below `Tables/<schema>/` in one with schemas, directly below
//! `Tables/` in one without.

use crate::azure::connection::Connection;
use crate::files::onelake::OneLakeFiles;
use crate::files::{FileError, OpenError};
use crate::location::Location;

/// The folder of a lakehouse's tables.
const TABLES: &str = "Tables";
/// "Every schema-enabled lakehouse includes a dbo default schema under Tables that can't be renamed or removed":
/// <https://learn.microsoft.com/fabric/data-engineering/lakehouse-schemas>.
const DEFAULT_SCHEMA: &str = "dbo";

/// Whether a lakehouse has schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LakehouseKind {
    /// It has the default schema.
    WithSchemas,
    /// It has other folders below `Tables/`, but not the default schema.
    WithoutSchemas,
    /// `Tables/` is empty, or is not shown to this identity.
    Undecided,
}

/// Where a table is in its lakehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TablePlace {
    /// Directly below `Tables/`.
    Direct,
    /// In a folder below `Tables/`.
    InSchema,
}

impl LakehouseKind {
    /// Lists the folders below `Tables/` of the lakehouse that the location is in.
    ///
    /// # Errors
    /// When the location is not in OneLake, or cannot be listed.
    pub async fn read(location: &Location, connection: &Connection) -> Result<Self, LakehouseError> {
        let (Location::OneLake { workspace, host, path }, Some(http)) = (location, connection.http()) else {
            return Err(OpenError::NotConnected(location.to_string()).into());
        };
        let item = path.split('/').next().unwrap_or_default();
        let tables = OneLakeFiles::new(http, workspace, host, &format!("{item}/{TABLES}"))?;
        Ok(Self::of_folders(&tables.folders().await?))
    }

    fn of_folders(folders: &[String]) -> Self {
        if folders.iter().any(|folder| folder == DEFAULT_SCHEMA) {
            Self::WithSchemas
        } else if folders.is_empty() {
            Self::Undecided
        } else {
            Self::WithoutSchemas
        }
    }

    /// Returns whether Fabric finds a table at this place; `None` if it cannot be decided. In a lakehouse with schemas a folder
    /// directly below `Tables/` is "Unidentified": <https://github.com/Bertverbeek4PS/bc2adls/issues/206>.
    #[must_use]
    pub fn accepts(self, place: TablePlace) -> Option<bool> {
        match (self, place) {
            // Without the default schema there are no schemas. Only an identity that it is not shown to could be wrong.
            (Self::Undecided, TablePlace::InSchema) => None,
            (Self::WithSchemas, place) => Some(place == TablePlace::InSchema),
            (Self::WithoutSchemas | Self::Undecided, place) => Some(place == TablePlace::Direct),
        }
    }
}

impl TablePlace {
    /// Returns the place of a table's location; `None` if it is not below `Tables/` of an item in OneLake.
    #[must_use]
    pub fn of(location: &Location) -> Option<Self> {
        let Location::OneLake { path, .. } = location else {
            return None;
        };
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [_, TABLES, _] => Some(Self::Direct),
            [_, TABLES, _, _] => Some(Self::InSchema),
            _ => None,
        }
    }
}

/// Why the kind of a lakehouse cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LakehouseError {
    /// The location cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The location cannot be listed.
    #[error(transparent)]
    List(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_schema_decides_where_tables_are() {
        use LakehouseKind::{Undecided, WithSchemas, WithoutSchemas};
        let cases: [(&[&str], _, _, _); 5] = [
            (&["dbo"], WithSchemas, Some(false), Some(true)),
            (&["sales", "dbo"], WithSchemas, Some(false), Some(true)),
            (&["xact_events"], WithoutSchemas, Some(true), Some(false)),
            (&["dbo_old"], WithoutSchemas, Some(true), Some(false)),
            (&[], Undecided, Some(true), None),
        ];
        for (folders, kind, direct, in_schema) in cases {
            let folders: Vec<_> = folders.iter().map(|&folder| folder.to_owned()).collect();
            let found = LakehouseKind::of_folders(&folders);
            assert_eq!(found, kind, "{folders:?}");
            assert_eq!(found.accepts(TablePlace::Direct), direct, "{folders:?}");
            assert_eq!(found.accepts(TablePlace::InSchema), in_schema, "{folders:?}");
        }
    }

    #[test]
    fn a_table_is_directly_below_tables_or_in_a_schema() {
        for (path, place) in [
            ("abfss://w@host/item/Tables/t", Some(TablePlace::Direct)),
            ("abfss://w@host/item/Tables/dbo/t", Some(TablePlace::InSchema)),
            ("abfss://w@host/item/Tables/a/b/t", None),
            ("abfss://w@host/item/Files/t", None),
            ("/data/item/Tables/t", None),
        ] {
            assert_eq!(TablePlace::of(&Location::parse(path).unwrap()), place, "{path}");
        }
    }
}
