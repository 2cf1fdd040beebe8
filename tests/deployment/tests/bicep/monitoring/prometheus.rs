//! `infra/prometheus/rules.yml`.

use super::definition::{alerts, check_generated, filled, groups, runbook};
use crate::snapshot::{list, text};

/// Returns the name of an alert in Prometheus: `XactLagWarning` for `lag-warning`.
fn name(name: &str) -> String {
    let words = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    format!("Xact{}", words.collect::<String>())
}

/// Returns a text in the quotes of YAML that leave everything as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn rules() -> String {
    let mut file = String::from(
        "# Made from bicep/monitoring/alerts.yaml: see there.\n\
         # `promtool check rules rules.yml` and `promtool test rules rules-test.yml` check it.\n\
         groups:\n",
    );
    for group in groups() {
        file += &format!("  - name: {}\n    rules:\n", text(&group["name"]));
        for alert in list(&group["alerts"]) {
            let prometheus = &alert["prometheus"];
            if prometheus.is_null() {
                continue;
            }
            file += &format!(
                "      - alert: {}\n        expr: {}\n        for: {}\n        labels: {{ severity: {} }}\n        \
                 annotations:\n          summary: {}\n          action: {}\n          runbook_url: '{}'\n",
                name(text(&alert["name"])),
                quoted(&filled(alert, &prometheus["expr"])),
                text(&prometheus["for"]),
                text(&alert["severity"]),
                quoted(&filled(alert, &prometheus["summary"])),
                quoted(&filled(alert, &alert["action"])),
                runbook(alert),
            );
        }
    }
    file
}

#[test]
fn the_rules_are_made_from_the_definition() {
    check_generated("infra/prometheus/rules.yml", &rules());
    let count = alerts().filter(|alert| !alert["prometheus"].is_null()).count();
    assert!(count > 20 && rules().matches("- alert: Xact").count() == count);
}
