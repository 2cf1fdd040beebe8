//! The log alerts fire when they should: each runs over recorded rows, evaluated as Azure Monitor does.
//!
//! `recorded/ALERT.json` has cases: rows of `ContainerAppConsoleLogs` and `ContainerAppSystemLogs`, and the time from the
//! first to the last evaluation that fires, for each app.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cli::root;
use crate::kusto::{self, Row, Table, Tables};
use crate::snapshot::{Variant, list, text};

// https://learn.microsoft.com/azure/azure-monitor/reference/tables/containerappconsolelogs and …/containerappsystemlogs
const CONSOLE: [&str; 5] = [
    "ContainerAppName",
    "JobName",
    "ContainerGroupName",
    "RevisionName",
    "Log",
];
const SYSTEM: [&str; 7] = [
    "ContainerAppName",
    "JobName",
    "RevisionName",
    "ReplicaName",
    "EventSource",
    "Reason",
    "Log",
];

/// A log alert of the deployment. Times and durations are in seconds.
#[derive(Clone)]
struct Rule {
    query: String,
    frequency: i64,
    window: i64,
    points: i64,
    failing: usize,
}

fn seconds(duration: &Value) -> i64 {
    text(duration)
        .parse::<SignedDuration>()
        .map_or_else(|_| 86_400, |duration| duration.as_secs())
}

fn time(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// Returns the rules by the names that follow the prefix.
fn rules() -> BTreeMap<String, Rule> {
    let rules = Variant::Prod
        .snapshot()
        .of_type("Microsoft.Insights/scheduledQueryRules");
    let rule = |resource: &Value| {
        let properties = &resource["properties"];
        let criterion = &properties["criteria"]["allOf"][0];
        assert_eq!(criterion["timeAggregation"], "Count");
        assert_eq!(criterion["operator"], "GreaterThan");
        assert_eq!(criterion["threshold"], 0);
        assert_eq!(criterion["dimensions"][0]["name"], "ContainerAppName");
        let periods = &criterion["failingPeriods"];
        let rule = Rule {
            query: text(&criterion["query"]).to_owned(),
            frequency: seconds(&properties["evaluationFrequency"]),
            window: seconds(&properties["windowSize"]),
            points: periods["numberOfEvaluationPeriods"].as_i64().unwrap(),
            failing: usize::try_from(periods["minFailingPeriodsToAlert"].as_u64().unwrap()).unwrap(),
        };
        (
            text(&resource["name"]).strip_prefix("xact-prod-").unwrap().to_owned(),
            rule,
        )
    };
    rules.map(rule).collect()
}

impl Rule {
    /// Returns the apps for which one evaluation fires.
    ///
    /// The query sees `points` windows. Each row of the result belongs to the window of its time; without a time there can
    /// only be one window: <https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule>.
    fn evaluate(&self, tables: &Tables, now: i64) -> Result<Vec<String>, String> {
        let mut visible = tables.clone();
        for table in visible.values_mut() {
            let start = now - self.window * self.points;
            table
                .rows
                .retain(|row| matches!(row["TimeGenerated"], kusto::Value::Time(time) if time > start && time <= now));
        }
        let result = kusto::run(&self.query, &visible, now)?;
        if self.points > 1 && !result.columns.contains("TimeGenerated") {
            return Err("several points need a datetime column".to_owned());
        }
        let mut failed: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in &result.rows {
            let kusto::Value::Text(app) = &row["ContainerAppName"] else {
                return Err("the dimension is not a text".to_owned());
            };
            let point = match row.get("TimeGenerated") {
                Some(kusto::Value::Time(time)) if self.points > 1 => (now - time) / self.window,
                _ => 0,
            };
            let points = failed.entry(app.clone()).or_default();
            if point < self.points && !points.contains(&point) {
                points.push(point);
            }
        }
        Ok(failed
            .into_iter()
            .filter(|(_, points)| points.len() >= self.failing)
            .map(|(app, _)| app)
            .collect())
    }

    /// Evaluates over a day, and returns the first and the last evaluation that fires, for each app.
    fn over_a_day(&self, tables: &Tables, day: i64) -> BTreeMap<String, (i64, i64)> {
        let mut fired: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let mut now = day;
        while now < day + 2 * 86_400 {
            for app in self.evaluate(tables, now).unwrap() {
                fired.entry(app).or_insert((now, now)).1 = now;
            }
            now += self.frequency;
        }
        fired
    }
}

/// Returns the tables of a case. A row stands once, with all its times.
fn tables(case: &Value, day: &str) -> Tables {
    let empty = |columns: &[&str]| Table {
        columns: columns
            .iter()
            .chain(&["TimeGenerated"])
            .map(|&name| name.to_owned())
            .collect(),
        rows: Vec::new(),
    };
    let mut tables = Tables::from([
        ("ContainerAppConsoleLogs".to_owned(), empty(&CONSOLE)),
        ("ContainerAppSystemLogs".to_owned(), empty(&SYSTEM)),
    ]);
    for recorded in list(&case["rows"]) {
        let table = tables.get_mut(text(&recorded["table"])).unwrap();
        for at in list(&recorded["at"]) {
            let mut row: Row = table
                .columns
                .iter()
                // A text is empty, never null.
                .map(|name| (name.clone(), kusto::Value::Text(String::new())))
                .collect();
            for (name, value) in recorded["row"].as_object().unwrap() {
                // The log of a handler is one object in a line.
                let value = if value.is_object() {
                    value.to_string()
                } else {
                    text(value).to_owned()
                };
                assert!(row.insert(name.clone(), kusto::Value::Text(value)).is_some(), "{name}");
            }
            let at = time(&format!("{day}T{}Z", text(at)));
            row.insert("TimeGenerated".to_owned(), kusto::Value::Time(at));
            table.rows.push(row);
        }
    }
    tables
}

#[test]
fn every_log_alert_fires_and_resolves_as_recorded() {
    let rules = rules();
    let mut wrong = Vec::new();
    for (name, rule) in &rules {
        let file = root().join(format!("tests/deployment/tests/bicep/recorded/{name}.json"));
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect(name)).expect(name);
        let mut has_fired = false;
        for case in list(&cases) {
            let day = "2026-11-01";
            let fired = rule.over_a_day(&tables(case, day), time(&format!("{day}T00:00:00Z")));
            let expected: BTreeMap<String, (i64, i64)> = case["fires"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(app, times)| (app.clone(), (time(text(&times[0])), time(text(&times[1])))))
                .collect();
            let shown = |times: &BTreeMap<String, (i64, i64)>| {
                let show = |second| Timestamp::from_second(second).unwrap().to_string();
                times
                    .iter()
                    .map(|(app, &(first, last))| format!("{app} {} {}", show(first), show(last)))
                    .collect::<Vec<_>>()
            };
            if fired != expected {
                let (fired, expected) = (shown(&fired), shown(&expected));
                wrong.push(format!("{name}, {}: {fired:?} instead of {expected:?}", case["case"]));
            }
            has_fired |= !fired.is_empty();
        }
        if !has_fired {
            wrong.push(format!("{name} never fires"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rules.len(), 8, "a log alert without recorded rows");
}

/// With the former settings neither alert could fire.
#[test]
fn a_rule_of_several_points_without_a_time_is_rejected() {
    let mut rule = rules()["scaler"].clone();
    assert!(rule.points > 1);
    let tables = tables(&serde_json::json!({ "rows": [] }), "2026-11-01");
    assert_eq!(rule.evaluate(&tables, 0), Ok(Vec::new()));
    rule.query = rule.query.replace("bin(TimeGenerated, 5m), ", "");
    assert!(rule.evaluate(&tables, 0).unwrap_err().contains("datetime column"));
    rule.query = rule.query.replace("Reason endswith", "Reason_s endswith");
    assert_eq!(rule.evaluate(&tables, 0), Err("column Reason_s".to_owned()));
}

/// Each line of a container's log is a row, so the watchdog's answer must be one line: `ui::json` prints it indented on a
/// terminal only.
#[test]
fn the_watchdog_prints_the_fields_that_its_alert_reads() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let lag = read("shared/operations/src/topics.rs");
    let query = &rules()["overdue"].query;
    for field in ["groups", "stage", "topic", "lag", "oldest_unfinished"] {
        assert!(
            lag.contains(&format!("pub {field}:")) && query.contains(field),
            "{field}"
        );
    }
    assert!(read("handlers/pipeline/src/ui.rs").contains("io::stdout().is_terminal()"));
    // Longer than a task of the last retry topic is held.
    let longest = xact_contracts::topology::DEFAULT_RETRY_DELAYS
        .into_iter()
        .max()
        .unwrap();
    assert!(query.contains(&format!("{}m", longest / 60 + 30)), "{query}");
}

#[test]
fn the_queries_name_what_the_handlers_log() {
    let health = std::fs::read_to_string(root().join("shared/telemetry/src/health.rs")).unwrap();
    assert!(health.contains("\"still not ready\"") && health.contains("component, reason"));
    let lines = std::fs::read_to_string(root().join("shared/telemetry/src/json_lines.rs")).unwrap();
    assert!(lines.contains("\"level\"") && lines.contains("`message`"));
}
