//! The metrics and labels that panels and alerts name exist in the handlers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::definition::{alerts, panels};
use crate::cli::root;
use crate::snapshot::{list, text};
use xact_contracts::topology::STAGES;

/// Labels that Prometheus adds, by itself or by its configuration.
const ADDED: [&str; 4] = ["handler", "instance", "job", "le"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every metric of the handlers with its labels.
pub(super) fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let metrics: BTreeMap<String, BTreeSet<String>> = read("shared/telemetry/src/metrics.rs")
        .lines()
        // produced: IntCounterVec("kafka_messages_produced_total", [topic, status: Status]);
        .filter_map(|line| line.trim().split_once("Vec(\"")?.1.split_once("\", ["))
        .map(|(name, rest)| {
            let labels = rest.split(']').next().unwrap_or_default().split(',');
            let labels = labels.map(|label| label.split(':').next().unwrap_or_default().trim().to_owned());
            (name.to_owned(), labels.collect())
        })
        .collect();
    assert!(metrics.len() > 30 && metrics["kafka_consumer_lag"].contains("partition"));
    metrics
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

/// Returns the labels that a query of Prometheus groups or filters by.
fn promql_labels(query: &str) -> Vec<String> {
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

/// Returns the labels that a query of Azure Monitor reads.
fn kql_labels(query: &str) -> Vec<String> {
    let read = query.split("Properties[\"").skip(1);
    assert_eq!(query.matches("Properties").count(), read.clone().count(), "{query}");
    read.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Checks that each metric of a query exists, and that one of them has each of the labels.
fn check(metrics: &BTreeMap<String, BTreeSet<String>>, query: &str, labels: &[String], added: &[&str]) {
    let named = named(query);
    assert!(!named.is_empty(), "no metric of the pipeline: {query}");
    let mut known: BTreeSet<&str> = added.iter().copied().collect();
    for name in &named {
        let labels = metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not a metric: {query}"));
        known.extend(labels.iter().map(String::as_str));
    }
    for label in labels {
        assert!(
            known.contains(label.as_str()),
            "no metric of it has the label {label}: {query}"
        );
    }
}

#[test]
fn every_metric_and_label_exists() {
    let metrics = metrics();
    let of_alerts = |path: fn(&Value) -> &Value| alerts().map(path).filter(|query| !query.is_null());
    let promql = panels()
        .flat_map(|panel| list(&panel["queries"]))
        .map(|query| &query["promql"])
        .chain(of_alerts(|alert| &alert["prometheus"]["expr"]));
    for query in promql.map(text) {
        // `{threshold}` is not a label.
        let query = query.replace("{threshold}", "0").replace("{capacityUnits}", "0");
        check(&metrics, &query, &promql_labels(&query), &ADDED);
    }
    let kql = panels()
        .map(|panel| &panel["azure"]["kql"])
        .chain(of_alerts(|alert| &alert["azure"]["kql"]));
    let mut count = 0;
    for query in kql.map(text).filter(|query| query.starts_with("AppMetrics\n")) {
        check(&metrics, query, &kql_labels(query), &[]);
        count += 1;
    }
    assert!(count > 30, "{count}");
}

#[test]
fn a_metric_or_label_that_does_not_exist_is_found() {
    let metrics = metrics();
    for query in [
        "AppMetrics\n| where Name == \"kafka_consumer_lags\"",
        "AppMetrics\n| where Name == \"kafka_consumer_lag\" and Properties[\"stage\"] == \"x\"",
    ] {
        let checked = std::panic::catch_unwind(|| check(&metrics, query, &kql_labels(query), &[]));
        assert!(checked.is_err(), "{query}");
    }
}

#[test]
fn every_metric_of_the_tests_of_the_rules_exists() {
    let metrics = metrics();
    let names = named(&read("infra/prometheus/rules-test.yml"));
    assert!(names.len() > 15);
    for name in names {
        assert!(metrics.contains_key(&name), "{name} is not a metric");
    }
}
