//! What a table asks of its writers beyond rows in files, and whether this writer does it.
//!
//! A table's protocol lists features: names for duties that a reader or a writer has. Whoever alters a table with Spark
//! leaves many of them listed that ask nothing of an append: Spark lists `invariants` in every protocol that it upgrades,
//! and never takes `changeDataFeed` off again. So what counts is not the list but what the table uses: a constraint, a
//! column, a property. The listed name itself counts only where it is a duty for every commit, or is not known here.
//!
//! | feature | asks of this writer | what is done |
//! |---|---|---|
//! | `appendOnly` | no removal of rows | appends go on; [`Features::refuse_removal`] |
//! | `invariants`, `checkConstraints` | each row is checked | refused if the table has one |
//! | `generatedColumns`, `identityColumns`, `allowColumnDefaults` | values for columns that rows do not have | refused if there is one |
//! | `changeDataFeed` | removed rows are written beside the table | done: `remove` |
//! | `columnMapping` | other names in the files | refused while the mode is not `none` |
//! | `deletionVectors` | rows of a file that count as deleted | refused while a file has one: `snapshot` |
//! | `inCommitTimestamp` | a time in each commit that only grows | done: `commit` |
//! | `rowTracking`, `materializePartitionColumns`, `icebergCompatV…` | something in each file | refused while it is on |
//! | `catalogManaged` | commits through a catalog | refused |
//! | `domainMetadata`, `clustering`, `v2Checkpoint`, `typeWidening`, `timestampNtz`, `vacuumProtocolCheck`, `checkpointProtection` | nothing of an append | goes on |

use std::collections::{BTreeSet, HashMap};

use deltalake::table::state::DeltaTableState;
use serde::Deserialize;
use serde_json::Value;

/// The newest writer version there is: it means that features are listed by name.
const NEWEST_WRITER: i32 = 7;
const NEWEST_READER: i32 = 3;

/// Why rows cannot be appended to a table, and what makes it possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The feature, by its name in the protocol.
    pub feature: String,
    /// What in the table asks for it.
    pub reason: String,
    /// What to do, in Spark's words.
    pub remedy: String,
}

/// What a table's protocol and properties ask of its writers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Whatever keeps this writer from appending.
    pub(crate) obstacles: Vec<Obstacle>,
    /// No row may be removed.
    pub(crate) is_append_only: bool,
    /// Removed rows are written to the change data feed.
    pub(crate) has_change_data_feed: bool,
    /// Every commit carries a time that only grows.
    pub(crate) has_in_commit_timestamps: bool,
    /// Log entries are needed although a checkpoint covers them.
    pub(crate) protects_checkpoints: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Protocol {
    min_reader_version: i32,
    min_writer_version: i32,
    reader_features: Option<BTreeSet<String>>,
    writer_features: Option<BTreeSet<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    configuration: HashMap<String, String>,
    schema_string: String,
}

/// A column, or a field in one, with what writers must know of it.
struct Column {
    /// As in `a.b`.
    name: String,
    kind: Value,
    metadata: serde_json::Map<String, Value>,
}

/// Features that ask nothing of an append, or that are judged by what the table uses.
const KNOWN: [&str; 28] = [
    "allowColumnDefaults",
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "checkpointProtection",
    "clustering",
    "columnMapping",
    "deletionVectors",
    "domainMetadata",
    "generatedColumns",
    "icebergCompatV1",
    "icebergCompatV2",
    "icebergCompatV3",
    "identityColumns",
    "inCommitTimestamp",
    "inCommitTimestamp-preview",
    "invariants",
    "rowTracking",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantShredding",
    "variantShredding-preview",
    "variantType",
    "variantType-preview",
    "timestampWithoutTimezone",
];

impl Features {
    /// Reads what a loaded table asks; `ours` are the columns that every row has a value for, if only null.
    pub(crate) fn of(table: &DeltaTableState, ours: &BTreeSet<String>) -> Result<Self, serde_json::Error> {
        let protocol = serde_json::to_value(table.protocol())?;
        let metadata = serde_json::to_value(table.metadata())?;
        Self::read(protocol, metadata, ours)
    }

    fn read(protocol: Value, metadata: Value, ours: &BTreeSet<String>) -> Result<Self, serde_json::Error> {
        let protocol: Protocol = serde_json::from_value(protocol)?;
        let metadata: Metadata = serde_json::from_value(metadata)?;
        let schema: Value = serde_json::from_str(&metadata.schema_string)?;
        let mut columns = Vec::new();
        collect_columns(&schema, "", &mut columns);
        let is_on = |property: &str| {
            let value = metadata.configuration.get(property);
            value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let mut obstacles: Vec<Obstacle> = of_versions(&protocol).into_iter().collect();
        obstacles.extend(of_columns(&columns, ours));
        obstacles.extend(of_properties(&metadata.configuration, &is_on));
        obstacles.extend(of_listed(&protocol, &is_on));
        Ok(Self {
            obstacles,
            is_append_only: is_on("delta.appendOnly"),
            has_change_data_feed: is_on("delta.enableChangeDataFeed"),
            has_in_commit_timestamps: is_on("delta.enableInCommitTimestamps"),
            protects_checkpoints: metadata
                .configuration
                .contains_key("delta.requireCheckpointProtectionBeforeVersion"),
        })
    }

    /// Why rows may not be removed, if they may not.
    pub(crate) fn refuse_removal(&self) -> Option<Obstacle> {
        self.is_append_only.then(|| {
            obstacle(
                "appendOnly",
                "rows that are recorded elsewhere by now cannot be removed (delta.appendOnly is true)",
                "ALTER TABLE … SET TBLPROPERTIES ('delta.appendOnly' = 'false')",
            )
        })
    }
}

/// A file of which some rows count as deleted: read as it is, they would come back.
pub(crate) fn deletion_vector(file: &str) -> Obstacle {
    obstacle(
        "deletionVectors",
        format!("rows of {file} are deleted by a deletion vector, which is not supported"),
        "ALTER TABLE … SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'false'), then REORG TABLE … APPLY (PURGE)",
    )
}

fn obstacle(feature: &str, reason: impl Into<String>, remedy: impl Into<String>) -> Obstacle {
    Obstacle {
        feature: feature.to_owned(),
        reason: reason.into(),
        remedy: remedy.into(),
    }
}

fn of_versions(protocol: &Protocol) -> Option<Obstacle> {
    let (reader, writer) = (protocol.min_reader_version, protocol.min_writer_version);
    (reader > NEWEST_READER || writer > NEWEST_WRITER).then(|| {
        obstacle(
            "protocol",
            format!(
                "its protocol is reader version {reader}, writer version {writer}, which is newer than this program"
            ),
            "use a newer release of this program",
        )
    })
}

/// Fields of structs, of elements and of values count like columns.
fn collect_columns(kind: &Value, within: &str, columns: &mut Vec<Column>) {
    for field in kind["fields"].as_array().into_iter().flatten() {
        let name = format!("{within}{}", field["name"].as_str().unwrap_or_default());
        collect_columns(&field["type"], &format!("{name}."), columns);
        columns.push(Column {
            name,
            kind: field["type"].clone(),
            metadata: field["metadata"].as_object().cloned().unwrap_or_default(),
        });
    }
    for part in ["elementType", "keyType", "valueType"] {
        if let Some(part) = kind.get(part) {
            collect_columns(part, within, columns);
        }
    }
}

fn of_columns(columns: &[Column], ours: &BTreeSet<String>) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for Column { name, kind, metadata } in columns {
        let has = |key: &str| metadata.contains_key(key);
        if let Some(invariant) = metadata.get("delta.invariants") {
            let text = invariant.as_str().map_or_else(|| invariant.to_string(), str::to_owned);
            obstacles.push(obstacle(
                "invariants",
                format!("its column {name:?} has the invariant {text}, which is not checked here"),
                RESTORE,
            ));
        }
        if has("delta.generationExpression") {
            obstacles.push(obstacle(
                "generatedColumns",
                format!("its column {name:?} is generated from others"),
                RESTORE,
            ));
        }
        if has("delta.identity.start") || has("delta.identity.step") {
            obstacles.push(obstacle(
                "identityColumns",
                format!("its column {name:?} is numbered by its writers"),
                RESTORE,
            ));
        }
        if has("CURRENT_DEFAULT") && !ours.contains(name) {
            obstacles.push(obstacle(
                "allowColumnDefaults",
                format!("its column {name:?} has a default that the rows do not have"),
                format!("ALTER TABLE … ALTER COLUMN {name} DROP DEFAULT"),
            ));
        }
        if kind == "variant" {
            obstacles.push(obstacle(
                "variantType",
                format!("its column {name:?} is a variant"),
                RESTORE,
            ));
        }
    }
    obstacles
}

/// For columns that no statement mends.
const RESTORE: &str = "RESTORE TABLE … TO VERSION AS OF the version before (rows written since are read from the topic again), or stop its writers and move the table away: the next row creates it";
/// For features that no statement takes off a table.
const RESTORE_PROTOCOL: &str = "SET spark.databricks.delta.restore.protocolDowngradeAllowed = true, then RESTORE TABLE … TO VERSION AS OF the version before (rows written since are read from the topic again), or stop its writers and move the table away: the next row creates it";

fn of_properties(configuration: &HashMap<String, String>, is_on: &dyn Fn(&str) -> bool) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    let mut constraints: Vec<(&str, &String)> = configuration
        .iter()
        .filter_map(|(property, expression)| Some((property.strip_prefix("delta.constraints.")?, expression)))
        .collect();
    constraints.sort_unstable();
    for (name, expression) in constraints {
        obstacles.push(obstacle(
            "checkConstraints",
            format!("its constraint {name:?} ({expression}) is not checked here"),
            format!("ALTER TABLE … DROP CONSTRAINT {name}"),
        ));
    }
    if let Some(mode) = configuration
        .get("delta.columnMapping.mode")
        .filter(|mode| *mode != "none")
    {
        obstacles.push(obstacle(
            "columnMapping",
            format!("its files have other column names (delta.columnMapping.mode is {mode})"),
            "ALTER TABLE … DROP FEATURE columnMapping (Delta 3.3 or later; it rewrites the files)",
        ));
    }
    for version in ["V1", "V2", "V3"] {
        let property = format!("delta.enableIcebergCompat{version}");
        if is_on(&property) {
            obstacles.push(obstacle(
                &format!("icebergCompat{version}"),
                format!("its files must be readable as Iceberg ({property} is true)"),
                format!("ALTER TABLE … SET TBLPROPERTIES ('{property}' = 'false')"),
            ));
        }
    }
    obstacles
}

fn of_listed(protocol: &Protocol, is_on: &dyn Fn(&str) -> bool) -> Vec<Obstacle> {
    let lists = [&protocol.reader_features, &protocol.writer_features];
    let listed: BTreeSet<&String> = lists.into_iter().flatten().flatten().collect();
    let mut obstacles = Vec::new();
    for name in listed {
        match name.as_str() {
            "rowTracking" if is_on("delta.rowTrackingSuspended") => {}
            "rowTracking" => obstacles.push(obstacle(name, "every file must number its rows", RESTORE_PROTOCOL)),
            "materializePartitionColumns" => obstacles.push(obstacle(
                name,
                "its files must hold the partition column",
                "ALTER TABLE … DROP FEATURE materializePartitionColumns",
            )),
            "catalogManaged" | "catalogOwned-preview" => {
                obstacles.push(obstacle(name, "a catalog must commit to it", RESTORE_PROTOCOL));
            }
            known if KNOWN.contains(&known) => {}
            unknown => obstacles.push(obstacle(
                unknown,
                "its protocol lists this feature, which is not known here",
                format!("ALTER TABLE … DROP FEATURE {unknown}, or use a newer release of this program"),
            )),
        }
    }
    obstacles
}

#[cfg(test)]
mod tests;
