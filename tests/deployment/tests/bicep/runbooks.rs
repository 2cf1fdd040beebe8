//! Each alert carries the address of a page in `infra/runbooks` in which it is a heading, and each such heading is an alert. The
//! queries of the pages run.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::root;
use crate::kusto;
use crate::recorded::{tables, time};
use crate::snapshot::{Variant, text};
use xact_testkit::bicep::Deployment;

/// The address in the definition, which the repository does not know.
const RUNBOOKS: &str = "https://github.com/OWNER/NAME/blob/main/infra/runbooks";

/// An alert and what it says.
struct Alert {
    name: String,
    address: String,
}

/// Returns the name of an alert in the pages.
fn shared_name(name: &str) -> String {
    if name.starts_with("lag-ca-") { "lag-app" } else { name }.to_owned()
}

/// Returns the alerts of resources that Bicep predicts.
fn of_azure<'a>(resources: impl Iterator<Item = &'a Value>, prefix: &str) -> Vec<Alert> {
    let alert = |resource: &Value| {
        let name = text(&resource["name"]).strip_prefix(prefix).unwrap();
        let description = text(&resource["properties"]["description"]);
        let address = description.split_once(" Runbook: ").map_or("", |(_, address)| address);
        Alert {
            name: shared_name(name),
            address: address.to_owned(),
        }
    };
    resources.map(alert).collect()
}

const KINDS: [&str; 2] = [
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/scheduledQueryRules",
];

fn in_azure() -> Vec<Alert> {
    let resources = KINDS.iter().flat_map(|kind| Variant::Prod.snapshot().of_type(kind));
    of_azure(resources, "xact-prod-")
}

/// Returns the alerts of Prometheus: `XactLagWarning` is `lag-warning`.
fn in_prometheus() -> Vec<Alert> {
    let rules = std::fs::read_to_string(root().join("infra/prometheus/rules.yml")).unwrap();
    let alert = |rule: &str| {
        let name = rule.lines().next().unwrap();
        let mut shared = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !shared.is_empty() {
                shared.push('-');
            }
            shared.extend(letter.to_lowercase());
        }
        let address = rule
            .split("runbook_url: '")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        Alert {
            name: shared,
            address: address.unwrap_or_default().to_owned(),
        }
    };
    rules.split("- alert: Xact").skip(1).map(alert).collect()
}

fn page(name: &str) -> String {
    let path = root().join("infra/runbooks").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the names of the pages.
fn pages() -> Vec<String> {
    let files = std::fs::read_dir(root().join("infra/runbooks")).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Returns the headings of a page that are names of alerts: one word, in lower case.
fn alerts_of(page: &str) -> Vec<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let is_name = |heading: &&str| !heading.contains(' ') && heading.starts_with(|letter: char| letter.is_lowercase());
    headings.filter(is_name).map(str::to_lowercase).collect()
}

#[test]
fn every_alert_carries_the_address_of_its_heading() {
    let (azure, prometheus) = (in_azure(), in_prometheus());
    assert!(azure.len() > 20 && prometheus.len() > 20);
    for Alert { name, address } in azure.into_iter().chain(prometheus) {
        let (file, anchor) = address
            .strip_prefix(RUNBOOKS)
            .and_then(|rest| rest.strip_prefix('/')?.split_once('#'))
            .unwrap_or_else(|| panic!("{name}: {address:?}"));
        assert_eq!(anchor, name);
        assert!(alerts_of(&page(file)).contains(&name), "{file} has no heading {name}");
        let row = |line: &str| {
            let (cell, link) = line.strip_prefix("| ")?.split_once(" | ")?;
            let is_named = cell.to_lowercase().contains(&format!("`{name}`"));
            is_named.then(|| link.contains(&format!("[{file}]({file}")))
        };
        assert_eq!(
            page("README.md").lines().find_map(row),
            Some(true),
            "{name} in the index"
        );
    }
}

#[test]
fn every_heading_that_is_a_name_is_an_alert() {
    let known: BTreeSet<String> = in_azure()
        .into_iter()
        .chain(in_prometheus())
        .map(|alert| alert.name)
        .collect();
    let mut headings = Vec::new();
    for name in pages() {
        for heading in alerts_of(&page(&name)) {
            assert!(known.contains(&heading), "{name}: {heading} is not an alert");
            headings.push(heading);
        }
    }
    let distinct: BTreeSet<String> = headings.iter().cloned().collect();
    assert_eq!(
        headings.len(),
        distinct.len(),
        "an alert has two headings: {headings:?}"
    );
    assert_eq!(distinct, known);
}

/// The pages may be on a wiki of the operators.
#[test]
fn the_address_of_the_pages_is_a_parameter() {
    let wiki = "https://wiki.example/runbooks";
    let alerts =
        format!("{{ emails: [], deadLettersWarning: 5, deadLettersCritical: 10, lagMinutes: 15, runbooks: '{wiki}' }}");
    let elsewhere = Deployment::of("main.dev.bicepparam").parameter("alerts", &alerts);
    let elsewhere = elsewhere.predict().unwrap();
    let alerts = of_azure(KINDS.iter().flat_map(|kind| elsewhere.of_type(kind)), "xact-dev-");
    assert_eq!(alerts.len(), in_azure().len());
    for Alert { name, address } in alerts {
        assert!(
            address.starts_with(&format!("{wiki}/")) && address.ends_with(&name),
            "{name}: {address}"
        );
    }
}

/// Without rows: each operator and each column exists.
#[test]
fn every_query_of_the_pages_runs() {
    let mut count = 0;
    let empty = tables(&json!({"rows": []}));
    for name in pages() {
        for query in page(&name)
            .split("```kusto\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
        {
            // The order of the rows is for people.
            let is_order = |line: &&str| line.trim_start().starts_with("| order by ");
            let query: Vec<&str> = query.lines().filter(|line| !is_order(line)).collect();
            let run = kusto::run(&query.join("\n"), &empty, time("06:00:00"));
            assert!(run.is_ok(), "{name}: {run:?}\n{query:?}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}
