//! The containers of the handlers: variables, probes, grace period, image, cache.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::{IMAGE_TAG, LAKEHOUSE, WORKSPACE, root};
use crate::snapshot::{Variant, list, text};
use xact_contracts::topology::{DEFAULT_RETRY_DELAYS, Groups, STAGES, Topics};

/// Returns the variables of `.env.example` with their defaults; another test compares that file with the code.
pub(crate) fn known_variables() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join(".env.example")).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| !name.contains(' '))
        .map(|(name, default)| (name.to_owned(), default.to_owned()))
        .collect()
}

pub(crate) fn container(app: &Value) -> &Value {
    let containers = list(&app["properties"]["template"]["containers"]);
    assert_eq!(containers.len(), 1);
    &containers[0]
}

pub(crate) fn variables(app: &Value) -> BTreeMap<&str, &str> {
    let list = list(&container(app)["env"]);
    let variables: BTreeMap<&str, &str> = list
        .iter()
        .map(|one| (text(&one["name"]), text(&one["value"])))
        .collect();
    assert_eq!(variables.len(), list.len(), "a variable is set twice");
    variables
}

#[test]
fn every_variable_exists() {
    let known = known_variables();
    assert!(known.len() > 30);
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            for (name, value) in variables(variant.snapshot().app(row.name)) {
                assert!(known.contains_key(name), "{}: {name}", row.name);
                assert!(!value.is_empty(), "{}: {name}", row.name);
            }
        }
    }
}

#[test]
fn every_handler_has_the_variables_of_its_topics() {
    let (topics, groups) = (Topics::default(), Groups::default());
    let delays = DEFAULT_RETRY_DELAYS.map(|seconds| seconds.to_string()).join(",");
    for variant in Variant::WITH_APPS {
        let snapshot = variant.snapshot();
        let namespace = text(&snapshot.only("Microsoft.EventHub/namespaces")["name"]);
        let bootstrap = format!("{namespace}.servicebus.windows.net:9093");
        for row in &STAGES {
            let variables = variables(snapshot.app(row.name));
            for (name, value) in [
                ("EVENTHUB_BOOTSTRAP_SERVERS", bootstrap.as_str()),
                ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", &bootstrap),
                ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
                ("EVENTHUB_EVENTS_TOPIC", &topics.raw),
                ("EVENTHUB_CONSUMER_GROUP", &groups.event_ingester),
                ("EVENTHUB_AUTO_OFFSET_RESET", "earliest"),
                ("KAFKA_DOWNLOADS_PENDING_TOPIC", &topics.pending),
                ("KAFKA_DOWNLOADS_CACHED_TOPIC", &topics.cached),
                ("KAFKA_DOWNLOADS_RESULTS_TOPIC", &topics.results),
                ("KAFKA_DLQ_TOPIC", &topics.dlq),
                ("KAFKA_CONSUMER_GROUP_PREFIX", &groups.prefix),
                ("RETRY_DELAYS", &delays),
                ("JSON_LOGS", "true"),
            ] {
                assert_eq!(variables.get(name), Some(&value), "{}: {name}", row.name);
            }
            // No keys in the environment: the handlers authenticate with their identities.
            for name in [
                "EVENTHUB_CONNECTION_STRING",
                "LOCAL_KAFKA_CONNECTION_STRING",
                "AZURE_CLIENT_SECRET",
                "DEV_MODE",
            ] {
                assert!(!variables.contains_key(name), "{}: {name}", row.name);
            }
        }
    }
}

#[test]
fn only_stages_that_write_know_the_lake() {
    let lakehouse = format!("abfss://{WORKSPACE}@onelake.dfs.fabric.microsoft.com/{LAKEHOUSE}");
    let paths = [
        ("DELTA_EVENTS_TABLE_PATH", "event-writer", "Tables/dbo/xact_events"),
        (
            "DELTA_INVENTORY_TABLE_PATH",
            "result-processor",
            "Tables/dbo/xact_attachments",
        ),
        (
            "DELTA_FAILED_TABLE_PATH",
            "result-processor",
            "Tables/dbo/xact_attachments_failed",
        ),
        ("ONELAKE_BASE_PATH", "upload", "Files/xact"),
    ];
    for (name, stage, path) in paths {
        let without_schemas = variables(Variant::Changed.snapshot().app(stage))[name];
        assert_eq!(without_schemas, format!("{lakehouse}/{}", path.replace("/dbo/", "/")));
    }
    for row in &STAGES {
        let variables = variables(Variant::Dev.snapshot().app(row.name));
        for (name, stage, path) in paths {
            let expected = (row.name == stage).then(|| format!("{lakehouse}/{path}"));
            assert_eq!(
                variables.get(name).map(|&path| path.to_owned()),
                expected,
                "{}: {name}",
                row.name
            );
        }
        for (name, stage) in [("DOWNLOAD_CONCURRENCY", "download"), ("UPLOAD_CONCURRENCY", "upload")] {
            let expected = (row.name == stage).then(|| row.concurrency.to_string());
            assert_eq!(
                variables.get(name).map(|&count| count.to_owned()),
                expected,
                "{}: {name}",
                row.name
            );
        }
    }
}

#[test]
fn the_allowed_hosts_are_those_of_the_product() {
    let default = &known_variables()["ALLOWED_ATTACHMENT_DOMAINS"];
    for row in &STAGES {
        let variables = variables(Variant::Prod.snapshot().app(row.name));
        assert_eq!(variables["ALLOWED_ATTACHMENT_DOMAINS"], default);
    }
}

#[test]
fn three_probes_use_the_port_of_the_handler() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let app = variant.snapshot().app(row.name);
            let port: u64 = variables(app)["METRICS_PORT"].parse().unwrap();
            let probes: Vec<_> = list(&container(app)["probes"])
                .iter()
                .map(|probe| {
                    assert_eq!(probe["httpGet"]["port"], port);
                    (text(&probe["type"]), text(&probe["httpGet"]["path"]))
                })
                .collect();
            assert_eq!(
                probes,
                [
                    ("Startup", "/health/live"),
                    ("Liveness", "/health/live"),
                    ("Readiness", "/health/ready")
                ]
            );
            assert!(
                app["properties"]["configuration"].get("ingress").is_none(),
                "handlers are not reachable from outside"
            );
        }
    }
}

#[test]
fn the_paths_of_the_probes_are_served() {
    let source = std::fs::read_to_string(root().join("shared/runtime/src/http.rs")).unwrap();
    for path in ["/health/live", "/health/ready"] {
        assert!(source.contains(&format!("\"{path}\"")), "{path}");
    }
}

#[test]
fn the_termination_period_exceeds_the_grace_period() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let app = variant.snapshot().app(row.name);
            let drain: u64 = variables(app)["SHUTDOWN_GRACE_SECONDS"].parse().unwrap();
            let wait = app["properties"]["template"]["terminationGracePeriodSeconds"]
                .as_u64()
                .unwrap();
            assert_eq!(wait, drain + 5);
            assert!(wait <= 600, "the limit of the platform");
        }
    }
}

#[test]
fn only_download_and_upload_mount_the_cache() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let app = variant.snapshot().app(row.name);
            let mounts = list(&container(app)["volumeMounts"]);
            let volumes = list(&app["properties"]["template"]["volumes"]);
            let folder = variables(app).get("CACHE_DIR").copied();
            if ["download", "upload"].contains(&row.name) {
                assert_eq!(text(&mounts[0]["mountPath"]), folder.unwrap());
                assert_eq!(mounts[0]["volumeName"], volumes[0]["name"]);
                assert_eq!(volumes[0]["storageType"], "AzureFile");
                let storage = variant.snapshot().only("Microsoft.App/managedEnvironments/storages");
                assert!(text(&storage["name"]).ends_with(&format!("/{}", text(&volumes[0]["storageName"]))));
                assert!(text(&volumes[0]["mountOptions"]).contains("dir_mode=0700,file_mode=0600"));
            } else {
                assert!(
                    mounts.is_empty() && volumes.is_empty() && folder.is_none(),
                    "{}",
                    row.name
                );
            }
        }
    }
}

#[test]
fn each_app_runs_the_image_of_its_handler_pulled_by_identity() {
    for row in &STAGES {
        let app = Variant::Prod.snapshot().app(row.name);
        let image = text(&container(app)["image"]);
        assert!(
            image.contains("'xact-pipeline'") && image.ends_with(&format!("'{}', '{IMAGE_TAG}')]", row.name)),
            "{image}"
        );
        let registry = &app["properties"]["configuration"]["registries"][0];
        assert!(text(&registry["identity"]).ends_with("-platform"), "{registry}");
        assert_eq!(container(app)["name"], row.name);
    }
}

#[test]
fn memory_is_two_gibibytes_per_core() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let resources = &container(variant.snapshot().app(row.name))["resources"];
            let cores = resources["cpu"].as_f64().unwrap();
            let gibibytes: f64 = text(&resources["memory"]).strip_suffix("Gi").unwrap().parse().unwrap();
            assert!((gibibytes - 2.0 * cores).abs() < 1e-9, "{resources}");
        }
    }
}

#[test]
fn the_first_deployment_has_no_apps() {
    let first = Variant::First.snapshot();
    let apps = first.of_type("Microsoft.App/containerApps");
    assert_eq!(apps.filter(|app| app["tags"]["stage"].is_string()).count(), 0);
    assert_eq!(first.of_type("Microsoft.ContainerRegistry/registries").count(), 1);
    assert_eq!(first.of_type("Microsoft.App/managedEnvironments").count(), 1);
}
