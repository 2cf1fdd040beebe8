//! The workbook shows what the dashboard shows, and its queries run.

use serde_json::{Value, json};

use super::definition::{panels, rows};
use super::metrics::metrics;
use crate::kusto::{self, Tables};
use crate::recorded::{tables, time};
use crate::snapshot::{Variant, last, list, text};

/// Returns the content of the workbook.
fn workbook(variant: Variant) -> Option<Value> {
    let workbook = variant.snapshot().of_type("Microsoft.Insights/workbooks").next()?;
    let properties = &workbook["properties"];
    assert_eq!(workbook["kind"], "shared");
    assert_eq!(
        last(&properties["sourceId"]),
        format!("log-xact-{}", variant.environment())
    );
    Some(serde_json::from_str(text(&properties["serializedData"])).unwrap())
}

#[test]
fn the_workbook_shows_every_panel() {
    let workbook = workbook(Variant::Prod).unwrap();
    let queries: Vec<&Value> = list(&workbook["items"])
        .iter()
        .filter(|item| item["type"] == 3)
        .map(|item| &item["content"])
        .collect();
    assert_eq!(queries.len(), panels().count());
    for (query, panel) in queries.into_iter().zip(panels()) {
        assert_eq!(query["query"], panel["azure"]["kql"]);
        let title = panel["azure"]["title"].as_str().unwrap_or(text(&panel["title"]));
        assert!(text(&query["title"]).starts_with(title), "{query}");
        assert_eq!(query["timeContextFromParameter"], "TimeRange");
        // In a workbook `{…}` stands for the value of a parameter.
        assert!(!text(&query["query"]).contains('{'), "{query}");
    }
    let texts = list(&workbook["items"]).iter().filter(|item| item["type"] == 1);
    for (heading, row) in texts.zip(rows()) {
        let heading = text(&heading["content"]["json"]);
        assert!(
            heading.starts_with(&format!("## {}\n", text(&row["title"]))),
            "{heading}"
        );
    }
}

#[test]
fn the_workbook_needs_application_insights() {
    for variant in Variant::ALL {
        let is_on = variant != Variant::Changed;
        assert_eq!(workbook(variant).is_some(), is_on, "{variant:?}");
    }
}

/// A histogram has no buckets in Application Insights.
#[test]
fn a_panel_that_shows_a_mean_instead_of_a_percentile_says_so() {
    for panel in panels() {
        let azure = &panel["azure"];
        let has_percentile = list(&panel["queries"])
            .iter()
            .any(|query| text(&query["promql"]).contains("histogram_quantile"));
        let title = azure["title"].as_str().unwrap_or(text(&panel["title"]));
        assert_eq!(title.contains("mean"), has_percentile, "{title}");
        assert_eq!(text(&azure["kql"]).contains("ItemCount"), has_percentile, "{title}");
        assert!(!title.contains("p95"), "{title}");
    }
}

/// Returns rows of all metrics, with the values of labels that the queries filter by.
fn all_metrics() -> Tables {
    let mut rows = Vec::new();
    for (name, labels) in metrics() {
        for topic in ["xact.downloads.cached", "xact.downloads.pending.retry.5m"] {
            let value = |label: &str| match label {
                "topic" => topic.to_owned(),
                "status" => "success".to_owned(),
                "operation" => "upload".to_owned(),
                "target" => "files".to_owned(),
                other => format!("some-{other}"),
            };
            let properties: serde_json::Map<String, Value> = labels
                .iter()
                .map(|label| (label.clone(), value(label).into()))
                .collect();
            // A connection is an error at 0, a breaker at 1.
            for (sum, at) in [(0, "11:58:00"), (1, "11:59:00")] {
                rows.push(json!({
                    "table": "AppMetrics",
                    "at": [at],
                    "row": {
                        "Name": name, "Sum": sum, "ItemCount": 1, "Properties": properties,
                        "AppRoleName": "xact-pipeline-upload", "AppRoleInstance": "3f",
                    },
                }));
            }
        }
    }
    tables(&json!({ "rows": rows }))
}

#[test]
fn every_query_of_the_workbook_runs_and_shows_something() {
    let tables = all_metrics();
    for panel in panels() {
        let query = text(&panel["azure"]["kql"]);
        let result = kusto::run(query, &tables, time("12:00:00")).unwrap_or_else(|error| panic!("{error}: {query}"));
        let numbers = |row: &kusto::Row| {
            row.values()
                .filter(|value| matches!(value, kusto::Value::Number(_)))
                .count()
        };
        assert!(
            !result.rows.is_empty() && result.rows.iter().all(|row| numbers(row) > 0),
            "{query}"
        );
        // A number has one row, with the column that the tile shows; a chart has a time.
        let column = if panel["kind"] == "stat" {
            "value"
        } else {
            "TimeGenerated"
        };
        assert!(result.columns.contains(column), "{query}");
        assert!(panel["kind"] != "stat" || result.rows.len() == 1, "{query}");
        let is_positive = |value: &kusto::Value| matches!(value, kusto::Value::Number(number) if *number > 0.0);
        assert!(
            result.rows.iter().flat_map(|row| row.values()).any(is_positive),
            "{query}"
        );
    }
}
