//! Which features are obstacles.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]
use serde_json::json;

use super::*;

fn features(listed: &[&str], properties: Value, columns: Value) -> Features {
    let protocol =
        json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [], "writerFeatures": listed});
    let schema = json!({"type": "struct", "fields": columns}).to_string();
    let metadata = json!({"configuration": properties, "schemaString": schema});
    let ours = BTreeSet::from(["note".to_owned()]);
    Features::read(protocol, metadata, &ours).unwrap()
}

fn column(name: &str, metadata: Value) -> Value {
    json!([{"name": name, "type": "string", "nullable": true, "metadata": metadata}])
}

#[test]
fn a_listed_feature_that_is_not_used_is_not_an_obstacle() {
    let listed: Vec<&str> = KNOWN.into_iter().filter(|name| *name != "rowTracking").collect();
    let found = features(
        &listed,
        json!({"delta.columnMapping.mode": "none"}),
        column("note", json!({})),
    );
    assert_eq!(found, Features::default());
}

#[test]
fn a_feature_that_the_table_uses_is_an_obstacle_even_if_it_is_not_listed() {
    let cases = [
        (
            json!({"delta.constraints.c": "x > 0"}),
            column("a", json!({})),
            "checkConstraints",
            "\"c\" (x > 0)",
        ),
        (
            json!({"delta.columnMapping.mode": "name"}),
            column("a", json!({})),
            "columnMapping",
            "is name",
        ),
        (
            json!({"delta.enableIcebergCompatV2": "true"}),
            column("a", json!({})),
            "icebergCompatV2",
            "Iceberg",
        ),
        (
            json!({}),
            column("a", json!({"delta.invariants": "{}"})),
            "invariants",
            "\"a\"",
        ),
        (
            json!({}),
            column("a", json!({"delta.generationExpression": "b"})),
            "generatedColumns",
            "\"a\"",
        ),
        (
            json!({}),
            column("a", json!({"delta.identity.start": 1})),
            "identityColumns",
            "\"a\"",
        ),
        (
            json!({}),
            column("a", json!({"CURRENT_DEFAULT": "1"})),
            "allowColumnDefaults",
            "\"a\"",
        ),
    ];
    for (properties, columns, feature, part) in cases {
        let found = features(&[], properties, columns).obstacles;
        assert_eq!(found.len(), 1, "{feature}: {found:?}");
        assert_eq!(found[0].feature, feature);
        assert!(found[0].reason.contains(part), "{found:?}");
    }
    let nested = json!([{"name": "s", "metadata": {}, "type": {"type": "struct",
        "fields": [{"name": "i", "type": "long", "metadata": {"delta.invariants": "i > 0"}}]}}]);
    assert!(features(&[], json!({}), nested).obstacles[0].reason.contains("\"s.i\""));
    let ours = column("note", json!({"CURRENT_DEFAULT": "'x'"}));
    assert_eq!(features(&[], json!({}), ours).obstacles, [], "every row has a note");
}

#[test]
fn a_feature_of_every_commit_and_an_unknown_feature_are_obstacles_when_listed() {
    for name in [
        "rowTracking",
        "catalogManaged",
        "materializePartitionColumns",
        "somethingNew",
    ] {
        let found = features(&[name], json!({}), column("a", json!({}))).obstacles;
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].feature, name);
    }
    let suspended = json!({"delta.rowTrackingSuspended": "true"});
    assert_eq!(
        features(&["rowTracking"], suspended, column("a", json!({}))).obstacles,
        []
    );
    let newer = json!({"minReaderVersion": 3, "minWriterVersion": 8});
    let metadata = json!({"configuration": {}, "schemaString": "{}"});
    assert_eq!(
        Features::read(newer, metadata, &BTreeSet::new()).unwrap().obstacles[0].feature,
        "protocol"
    );
}
