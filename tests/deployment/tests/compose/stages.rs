//! One container per stage, with the topics of the topology.

use crate::stack::{SERVICES, built_services, handler, service, texts, variable};
use xact_contracts::topology::{STAGES, Stage};

#[test]
fn every_stage_is_one_service_with_its_name() {
    let mut stages: Vec<&str> = STAGES.iter().map(|row| row.name).collect();
    stages.sort_unstable();
    let mut services: Vec<&str> = built_services()
        .filter_map(|(name, service)| {
            handler(service)
                .filter(|handler| stages.contains(handler))
                .map(|handler| (name, handler))
        })
        .map(|(name, handler)| {
            assert_eq!(name, handler);
            handler
        })
        .collect();
    services.sort_unstable();
    assert_eq!(services, stages);
    for name in stages {
        let service = service(name);
        assert!(service["profiles"].is_null(), "{name} must not need a profile");
        assert!(service["command"].is_null(), "{name}: a handler takes no arguments");
        assert_eq!(texts(&service["entrypoint"]), [format!("/{name}")]);
    }
}

#[test]
fn the_topics_are_created_by_the_program() {
    // The program creates them from its own table, and no service renames one.
    let topics = service("topics");
    assert_eq!(handler(topics), Some("xact-pipeline"));
    assert_eq!(texts(&topics["command"]), ["topics", "create"]);
    for (name, service) in &*SERVICES {
        for variable in service["environment"]
            .as_object()
            .into_iter()
            .flat_map(|variables| variables.keys())
        {
            let names_topics = variable.ends_with("_TOPIC")
                || ["RETRY_DELAYS", "KAFKA_CONSUMER_GROUP_PREFIX"].contains(&variable.as_str());
            let is_of_the_broker = variable.ends_with("_STATE_TOPIC") || name == "kafka";
            assert!(!names_topics || is_of_the_broker, "{name}: {variable}");
        }
    }
    assert_eq!(
        variable(service("kafka"), "KAFKA_AUTO_CREATE_TOPICS_ENABLE"),
        Some("false")
    );
}

#[test]
fn only_stages_that_write_know_the_lake() {
    for row in &STAGES {
        let writes = !row.tables.is_empty() || row.stage == Stage::Upload;
        for name in ["ONELAKE_BASE_PATH", "IDENTITY_HEADER", "SSL_CERT_FILE"] {
            assert_eq!(
                variable(service(row.name), name).is_some(),
                writes,
                "{}: {name}",
                row.name
            );
        }
    }
}

#[test]
fn download_and_upload_share_one_folder() {
    let cache = |name: &str| {
        let service = service(name);
        let folder = variable(service, "CACHE_DIR")?;
        let mounts = service["volumes"].as_array().unwrap();
        mounts.iter().find(|mount| mount["target"] == folder)?["source"].as_str()
    };
    assert_eq!(cache("download"), Some("cache"));
    assert_eq!(cache("upload"), Some("cache"));
}

#[test]
fn the_profiles_only_add_services() {
    for (name, service) in &*SERVICES {
        let profiles = texts(&service["profiles"]);
        let expected: &[&str] = match name.as_str() {
            "prometheus" | "grafana" | "otel-collector" | "jaeger" => &["obs"],
            "kafka-ui" => &["ui"],
            "pipeline" => &["tools"],
            "maintain" | "reconcile" | "lag" => &["jobs"],
            _ => &[],
        };
        assert_eq!(profiles, expected, "{name}");
        // A service without a profile must not depend on one with a profile.
        for needed in service["depends_on"]
            .as_object()
            .into_iter()
            .flat_map(|needed| needed.keys())
        {
            let theirs = texts(&SERVICES[needed]["profiles"]);
            assert!(
                theirs.iter().all(|profile| profiles.contains(profile)),
                "{name} needs {needed}"
            );
        }
    }
}
