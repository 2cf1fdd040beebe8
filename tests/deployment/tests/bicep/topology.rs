//! `bicep/topology.json` equals the topology table of the code.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::cli::templates;
use xact_contracts::topology::{DEFAULT_RETRY_DELAYS, Groups, STAGES, TopicRole, Topics};

/// The file.
pub(crate) static TOPOLOGY: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(templates().join("topology.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

/// A role as the file spells it.
pub(crate) fn role(role: TopicRole) -> &'static str {
    match role {
        TopicRole::Raw => "raw",
        TopicRole::Pending => "pending",
        TopicRole::Cached => "cached",
        TopicRole::Results => "results",
        TopicRole::Retry => "retry",
        TopicRole::Dlq => "dlq",
    }
}

#[test]
fn the_topics_are_those_of_the_code() {
    let expected: Vec<Value> = Topics::default()
        .all()
        .into_iter()
        .map(|(kind, name)| json!({ "name": name, "role": role(kind), "partitions": kind.partitions() }))
        .collect();
    let mut files = TOPOLOGY["topics"].clone();
    for topic in files.as_array_mut().unwrap() {
        topic.as_object_mut().unwrap().remove("retentionHours");
    }
    assert_eq!(files, Value::Array(expected));
    assert_eq!(TOPOLOGY["retryDelaysSeconds"], json!(DEFAULT_RETRY_DELAYS));
    assert_eq!(TOPOLOGY["groupPrefix"], Groups::default().prefix);
}

#[test]
fn the_stages_are_those_of_the_code() {
    let groups = Groups::default();
    let expected: Vec<Value> = STAGES
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "group": groups.of(row.stage),
                "consumes": role(row.consumes),
                "produces": row.produces.iter().map(|&kind| role(kind)).collect::<Vec<_>>(),
                "tables": row.tables,
                "lagThreshold": row.lag_threshold,
                "concurrency": row.concurrency,
            })
        })
        .collect();
    let mut files = TOPOLOGY["stages"].clone();
    for stage in files.as_array_mut().unwrap() {
        let stage = stage.as_object_mut().unwrap();
        // Which stages write files is defined by the handlers, not by the table of the code.
        let name = stage["name"].as_str().unwrap().to_owned();
        assert_eq!(stage.remove("files").unwrap(), json!(name == "upload"), "{name}");
        assert_eq!(
            stage.remove("cache").unwrap(),
            json!(["download", "upload"].contains(&name.as_str())),
            "{name}"
        );
    }
    assert_eq!(files, Value::Array(expected));
}

#[test]
fn the_retention_covers_a_long_outage_within_the_limits_of_the_tier() {
    for topic in TOPOLOGY["topics"].as_array().unwrap() {
        let hours = &topic["retentionHours"];
        let (standard, premium) = (hours["Standard"].as_u64().unwrap(), hours["Premium"].as_u64().unwrap());
        // A shorter retention saves nothing, and messages that are older than it are lost in an outage.
        assert_eq!(standard, 168, "{topic}");
        assert!((standard..=2160).contains(&premium), "{topic}");
    }
}
