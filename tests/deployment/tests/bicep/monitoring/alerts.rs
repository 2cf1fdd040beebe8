//! An alert has one name and one severity in Prometheus and in Azure Monitor.

use std::collections::BTreeMap;

use serde_json::Value;

use super::definition::{alerts, filled, runbook};
use crate::snapshot::{Variant, text};
use xact_testkit::bicep::Deployment;

/// The durations of a log alert that Azure Monitor accepts:
/// <https://github.com/hashicorp/terraform-provider-azurerm/pull/18960>
const DURATIONS: [&str; 14] = [
    "PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT45M", "PT1H", "PT2H", "PT3H", "PT4H", "PT5H", "PT6H", "P1D", "P2D",
];

/// Returns the rules of a type by the names that follow the prefix.
fn rules(variant: Variant, kind: &str) -> BTreeMap<&'static str, &'static Value> {
    let prefix = format!("xact-{}-", variant.environment());
    let rules = variant.snapshot().of_type(&format!("Microsoft.Insights/{kind}"));
    rules
        .map(|rule| (text(&rule["name"]).strip_prefix(&prefix).unwrap(), &rule["properties"]))
        .collect()
}

fn severity(alert: &Value) -> u64 {
    match text(&alert["severity"]) {
        "critical" => 1,
        "warning" => 2,
        other => panic!("severity {other}"),
    }
}

#[test]
fn every_alert_of_the_definition_is_in_azure_as_it_is_there() {
    let rules = rules(Variant::Prod, "scheduledQueryRules");
    let mut count = 0;
    for alert in alerts() {
        let (name, azure) = (text(&alert["name"]), &alert["azure"]);
        let rule = rules.get(name);
        assert_eq!(rule.is_some(), !azure.is_null(), "{name}");
        let Some(rule) = rule else { continue };
        assert_eq!(rule["severity"], severity(alert), "{name}");
        let criterion = &rule["criteria"]["allOf"][0];
        assert_eq!(text(&criterion["query"]), filled(alert, &azure["kql"]), "{name}");
        let (description, action) = (filled(alert, &azure["description"]), text(&alert["action"]));
        let described = format!("{description} {action} Runbook: {}", runbook(alert));
        assert_eq!(text(&rule["description"]), described, "{name}");
        assert!(!described.contains("{{"), "{name}: a template of Prometheus");
        let times = [&rule["evaluationFrequency"], &rule["windowSize"]].map(text);
        assert!(times.iter().all(|time| DURATIONS.contains(time)), "{name}: {times:?}");
        count += 1;
    }
    assert_eq!(count, 14);
}

/// Without Application Insights there are no metrics, and without a job no answers of it.
#[test]
fn an_alert_is_there_with_what_it_reads() {
    let expected = |variant, sources: &[&str]| {
        let rules = rules(variant, "scheduledQueryRules");
        for alert in alerts().filter(|alert| !alert["azure"].is_null()) {
            let is_expected = sources.contains(&text(&alert["azure"]["source"]));
            let is_there = rules.contains_key(text(&alert["name"]));
            assert_eq!(is_there, is_expected, "{variant:?}: {}", alert["name"]);
        }
    };
    expected(Variant::Dev, &["metrics", "lag", "reconcile"]);
    expected(Variant::Changed, &["lag"]);
    expected(Variant::First, &[]);
}

/// These three are in Bicep, as metrics of Event Hubs and of the share.
#[test]
fn a_metric_alert_of_the_same_name_has_the_same_threshold() {
    let rules = rules(Variant::Prod, "metricAlerts");
    let shared: Vec<&Value> = alerts()
        .filter(|alert| rules.contains_key(text(&alert["name"])))
        .collect();
    let gib = f64::from(1 << 30);
    // Dead letters are counted over five minutes, and the share has 1,024 GiB.
    let factors = [
        ("dead-letters-warning", 5.0),
        ("dead-letters-critical", 5.0),
        ("cache-filling", 1024.0 * gib),
    ];
    assert_eq!(shared.len(), factors.len());
    for (alert, (name, factor)) in shared.into_iter().zip(factors) {
        assert_eq!(alert["name"], name);
        let rule = rules[name];
        assert_eq!(rule["severity"], severity(alert), "{name}");
        let threshold: f64 = text(&alert["threshold"]).parse().unwrap();
        let in_azure = rule["criteria"]["allOf"][0]["threshold"].as_f64().unwrap();
        assert!((in_azure / factor - threshold).abs() < 0.01, "{name}: {in_azure}");
    }
}

#[test]
fn the_units_of_the_capacity_are_a_parameter() {
    let query = |rule: &Value| text(&rule["criteria"]["allOf"][0]["query"]).to_owned();
    let rule = rules(Variant::Prod, "scheduledQueryRules")["one-lake-capacity"];
    assert!(query(rule).contains("> 0.8 * 2 * 86400"));
    let alerts = "{ emails: [], deadLettersWarning: 5, deadLettersCritical: 10, lagMinutes: 15, capacityUnits: 64 }";
    let larger = Deployment::of("main.dev.bicepparam").parameter("alerts", alerts);
    let larger = larger.predict().unwrap();
    let mut rules = larger.of_type("Microsoft.Insights/scheduledQueryRules");
    let rule = &rules.find(|rule| rule["name"] == "xact-dev-one-lake-capacity").unwrap()["properties"];
    assert!(query(rule).contains("> 0.8 * 64 * 86400"));
    assert!(text(&rule["description"]).contains("an F64 provides"));
}
