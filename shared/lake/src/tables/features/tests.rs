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
    let listed: Vec<&str> = KNOWN.split_whitespace().collect();
    let properties = json!({"delta.columnMapping.mode": "none"});
    let found = features(&listed, properties, column("note", json!({})));
    assert_eq!(found, Features::default());
}

#[test]
fn a_feature_that_the_table_uses_is_an_obstacle_even_if_it_is_not_listed() {
    let found = |properties, columns, feature: &str| {
        let mut found = features(&[], properties, columns).obstacles;
        assert_eq!(found.len(), 1, "{feature}: {found:?}");
        assert_eq!(found[0].feature, feature);
        found.remove(0).reason
    };
    for (properties, feature, part) in [
        (
            json!({"delta.constraints.c": "x > 0"}),
            "checkConstraints",
            "\"c\" (x > 0)",
        ),
        (json!({"delta.columnMapping.mode": "name"}), "columnMapping", "is name"),
        (
            json!({"delta.enableIcebergCompatV2": "true"}),
            "icebergCompatV2",
            "Iceberg",
        ),
    ] {
        let reason = found(properties, column("a", json!({})), feature);
        assert!(reason.contains(part), "{reason}");
    }
    for (metadata, feature) in [
        (json!({"delta.invariants": "{}"}), "invariants"),
        (json!({"delta.generationExpression": "b"}), "generatedColumns"),
        (json!({"delta.identity.start": 1}), "identityColumns"),
        (json!({"CURRENT_DEFAULT": "1"}), "allowColumnDefaults"),
    ] {
        let reason = found(json!({}), column("a", metadata), feature);
        assert!(reason.contains("\"a\""), "{reason}");
    }
    let nested = json!([{"name": "s", "metadata": {}, "type": {"type": "struct",
        "fields": [{"name": "i", "type": "long", "metadata": {"delta.invariants": "i > 0"}}]}}]);
    assert!(features(&[], json!({}), nested).obstacles[0].reason.contains("\"s.i\""));
    let ours = column("note", json!({"CURRENT_DEFAULT": "'x'"}));
    assert_eq!(features(&[], json!({}), ours).obstacles, [], "every row has a note");
}

#[test]
fn a_feature_of_every_commit_and_an_unknown_feature_are_obstacles_when_listed() {
    let listed = |name, properties| features(&[name], properties, column("a", json!({}))).obstacles;
    for name in [
        "rowTracking",
        "catalogManaged",
        "materializePartitionColumns",
        "somethingNew",
    ] {
        let found = listed(name, json!({}));
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].feature, name);
    }
    let suspended = json!({"delta.rowTrackingSuspended": "true"});
    assert_eq!(listed("rowTracking", suspended), []);
    let newer = json!({"minReaderVersion": 3, "minWriterVersion": 8});
    let metadata = json!({"configuration": {}, "schemaString": "{}"});
    let found = Features::read(newer, metadata, &BTreeSet::new()).unwrap();
    assert_eq!(found.obstacles[0].feature, "protocol");
}
