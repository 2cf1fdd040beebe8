//! Delta table features: what a table requires of its writers, and whether this writer supports it.
//!
//! A table's protocol lists features by name. When a table is altered with Spark, its protocol often lists features that
//! require nothing of an append: Spark lists `invariants` in every protocol that it upgrades, and never removes
//! `changeDataFeed`. So the list does not decide, but what the table uses: a constraint, a column, a property. A listed
//! name itself decides only if the feature concerns every commit, or is not known here.
//!
//! | feature | requires of this writer | what is done |
//! |---|---|---|
//! | `appendOnly` | rows are never removed | appended to; [`Features::refuse_removal`] |
//! | `invariants`, `checkConstraints` | each row is checked | refused if the table has one |
//! | `generatedColumns`, `identityColumns`, `allowColumnDefaults` | values for columns that the rows do not have | refused if there is one |
//! | `changeDataFeed` | removed rows are also written to the feed | supported: `change_feed` |
//! | `columnMapping` | other column names in the files | refused unless the mode is `none` |
//! | `deletionVectors` | some rows of a file are deleted | refused while a file has one: `snapshot` |
//! | `inCommitTimestamp` | an increasing time in each commit | supported: `commit` |
//! | `rowTracking`, `materializePartitionColumns`, `icebergCompatV…` | additional content of each file | refused while it is enabled |
//! | `catalogManaged` | commits through a catalog | refused |
//! | `domainMetadata`, `clustering`, `v2Checkpoint`, `typeWidening`, `timestampNtz`, `vacuumProtocolCheck`, `checkpointProtection` | nothing of an append | appended to |

use std::collections::{BTreeSet, HashMap};

use deltalake::table::state::DeltaTableState;
use serde::Deserialize;
use serde_json::Value;

/// The highest writer version that Delta has. It means that features are listed by name.
const MAX_WRITER_VERSION: i32 = 7;
const MAX_READER_VERSION: i32 = 3;

/// Why rows cannot be appended to a table, and how to make it possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The feature, by its name in the protocol.
    pub feature: String,
    /// What in the table uses it.
    pub reason: String,
    /// What to do, as Spark SQL.
    pub remedy: String,
}

/// What a table's protocol and properties require of its writers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Reasons why this writer cannot append.
    pub(crate) obstacles: Vec<Obstacle>,
    /// Rows must not be removed.
    pub(crate) is_append_only: bool,
    /// Removed rows have to be written to the change data feed.
    pub(crate) has_change_data_feed: bool,
    /// Every commit has to have a time that is later than the last.
    pub(crate) has_in_commit_timestamps: bool,
    /// Log entries must be kept although a checkpoint covers them.
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

/// A column, or a field in one, with its metadata for writers.
struct Column {
    /// A field in a column is named like `a.b`.
    name: String,
    kind: Value,
    metadata: serde_json::Map<String, Value>,
}

/// Features that require nothing of an append, or for which the use in the table decides.
const KNOWN: &str = "allowColumnDefaults appendOnly changeDataFeed checkConstraints checkpointProtection clustering \
    columnMapping deletionVectors domainMetadata generatedColumns icebergCompatV1 icebergCompatV2 icebergCompatV3 \
    identityColumns inCommitTimestamp inCommitTimestamp-preview invariants timestampNtz typeWidening \
    typeWidening-preview v2Checkpoint vacuumProtocolCheck variantShredding variantShredding-preview variantType \
    variantType-preview timestampWithoutTimezone";

impl Features {
    /// Returns what a loaded table requires. `ours` are the columns for which every row has a value, null included.
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
        let has = |property: &str| metadata.configuration.contains_key(property);
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
            protects_checkpoints: has("delta.requireCheckpointProtectionBeforeVersion"),
        })
    }

    /// Returns why rows must not be removed, if that is so.
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

/// Returns the obstacle of a file with a deletion vector: read without it, deleted rows would reappear.
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
    (reader > MAX_READER_VERSION || writer > MAX_WRITER_VERSION).then(|| {
        obstacle(
            "protocol",
            format!(
                "its protocol is reader version {reader}, writer version {writer}, which is newer than this program"
            ),
            "use a newer release of this program",
        )
    })
}

/// Collects columns and the fields of structs, elements and values within them.
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
        let mut add = |feature: &str, what: &str, remedy: &str| {
            obstacles.push(obstacle(feature, format!("its column {name:?} {what}"), remedy));
        };
        if let Some(invariant) = metadata.get("delta.invariants") {
            let text = invariant.as_str().map_or_else(|| invariant.to_string(), str::to_owned);
            let what = format!("has the invariant {text}, which is not checked here");
            add("invariants", &what, RESTORE);
        }
        if has("delta.generationExpression") {
            add("generatedColumns", "is generated from others", RESTORE);
        }
        if has("delta.identity.start") || has("delta.identity.step") {
            add("identityColumns", "is numbered by its writers", RESTORE);
        }
        if has("CURRENT_DEFAULT") && !ours.contains(name) {
            let what = "has a default, and the rows have no such column";
            let remedy = format!("ALTER TABLE … ALTER COLUMN {name} DROP DEFAULT");
            add("allowColumnDefaults", what, &remedy);
        }
        if kind == "variant" {
            let what = "has the type variant, which is not supported";
            add("variantType", what, RESTORE);
        }
    }
    obstacles
}

/// The remedy for a column that no statement can change.
const RESTORE: &str = "RESTORE TABLE … TO VERSION AS OF the version before (rows written since are read from the topic again), or stop its writers and move the table away: the next row creates it";
/// The remedy for a feature that no statement can remove.
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
    let mode = configuration.get("delta.columnMapping.mode");
    if let Some(mode) = mode.filter(|mode| *mode != "none") {
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
            known if KNOWN.split_whitespace().any(|name| name == known) => {}
            unknown => obstacles.push(obstacle(
                unknown,
                "its protocol lists this feature, which this program does not know",
                format!("ALTER TABLE … DROP FEATURE {unknown}, or use a newer release of this program"),
            )),
        }
    }
    obstacles
}

#[cfg(test)]
mod tests;
