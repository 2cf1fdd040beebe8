//! The metrics, labels, targets and data sources that Prometheus and Grafana refer to exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::stack::{read, service, texts};
use xact_contracts::topology::STAGES;

const DASHBOARD: &str = "infra/grafana/dashboards/overview.json";
/// Labels of Prometheus itself, or added by its configuration.
const ADDED: [&str; 4] = ["handler", "instance", "job", "le"];

/// Returns every metric of the runtime with its labels.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    read("shared/telemetry/src/metrics.rs")
        .lines()
        // produced: IntCounterVec("kafka_messages_produced_total", [topic, status: Status]);
        .filter_map(|line| line.trim().split_once("Vec(\"")?.1.split_once("\", ["))
        .map(|(name, rest)| {
            let labels = rest.split(']').next().unwrap_or_default().split(',');
            let labels = labels.map(|label| label.split(':').next().unwrap_or_default().trim().to_owned());
            (name.to_owned(), labels.collect())
        })
        .collect()
}

/// Returns the metrics that a query names. (Names of tables have the same form, but they are values of labels.)
fn named(query: &str) -> Vec<String> {
    let tables: Vec<&str> = STAGES.iter().flat_map(|row| row.tables).copied().collect();
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| !tables.contains(word))
        .filter(|word| {
            ["kafka_", "delta_", "onelake_", "xact_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        .map(|word| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| word.strip_suffix(part))
                .unwrap_or(word)
                .to_owned()
        })
        .collect()
}

/// Returns the labels that a query groups or filters by.
fn labels(query: &str) -> Vec<String> {
    let grouped = query
        .split("by (")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .flat_map(|list| list.split(','));
    let selected = query
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .flat_map(|list| list.split("\","));
    let selected = selected.filter_map(|matcher| matcher.split(['=', '!']).next());
    grouped.chain(selected).map(|label| label.trim().to_owned()).collect()
}

fn check(query: &str) {
    let metrics = metrics();
    let named = named(query);
    assert!(!named.is_empty(), "no metric of the pipeline: {query}");
    let mut known: BTreeSet<&str> = ADDED.into();
    for name in &named {
        let labels = metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not a metric: {query}"));
        known.extend(labels.iter().map(String::as_str));
    }
    for label in labels(query) {
        assert!(
            known.contains(label.as_str()),
            "no metric of it has the label {label}: {query}"
        );
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

#[test]
fn every_metric_and_label_of_a_panel_exists() {
    assert!(metrics().len() > 30 && metrics()["kafka_consumer_lag"].contains("partition"));
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["id"]);
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{}", panel["title"]);
        for target in targets {
            check(target["expr"].as_str().unwrap());
            let uid = target["datasource"]["uid"].as_str().unwrap();
            let sources = read("infra/grafana/provisioning/datasources/datasources.yaml");
            assert!(sources.contains(&format!("uid: {uid}\n")), "{uid}");
        }
    }
}

#[test]
fn every_metric_of_a_rule_exists() {
    let metrics = metrics();
    for file in ["rules.yml", "rules-test.yml"] {
        let text = read(&format!("infra/prometheus/{file}"));
        let names = named(&text);
        assert!(names.len() > 15, "{file}");
        for name in names {
            assert!(metrics.contains_key(&name), "{file}: {name} is not a metric");
        }
    }
    let rules = read("infra/prometheus/rules.yml");
    let alerts = rules.matches("- alert: Xact").count();
    for part in ["expr: ", "for: ", "severity: ", "summary: ", "action: "] {
        assert_eq!(rules.matches(part).count(), alerts, "each alert has one {part}");
    }
}

#[test]
fn prometheus_scrapes_every_stage() {
    let configuration = read("infra/prometheus/prometheus.yml");
    let asked: BTreeSet<&str> = configuration
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(":8000"))
        .collect();
    assert_eq!(asked, STAGES.iter().map(|row| row.name).collect());
    assert!(read(".env.example").contains("\n#METRICS_PORT=8000\n"));
}

#[test]
fn the_dashboard_is_mounted_where_grafana_reads_it() {
    let grafana = service("grafana");
    let mounts = grafana["volumes"].as_array().unwrap();
    let folder = "/etc/xact-pipeline/dashboards";
    let mount = mounts.iter().find(|mount| mount["target"] == folder).unwrap();
    assert!(
        mount["source"].as_str().unwrap().ends_with("infra/grafana/dashboards"),
        "{mount}"
    );
    let home = &grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(*home, format!("{folder}/overview.json"));
    assert!(read("infra/grafana/provisioning/dashboards/dashboards.yaml").contains(folder));
    assert_eq!(dashboard()["uid"], "xact-pipeline");
    assert!(
        texts(&grafana["healthcheck"]["test"])
            .iter()
            .any(|word| word.ends_with("/api/health"))
    );
}
