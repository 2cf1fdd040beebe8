//! The log alerts fire when they should: each runs over recorded rows, evaluated as Azure Monitor does.
//!
//! `recorded/ALERT.json` has cases: rows ([`crate::recorded`]), and the time from the first to the last evaluation that fires,
//! for each app. A rule is evaluated for two days, or between the two times in `evaluated`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cli::root;
use crate::kusto::{self, Tables};
use crate::recorded::{tables, time};
use crate::snapshot::{Variant, list, text};

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

fn second(time: &Value) -> i64 {
    text(time).parse::<Timestamp>().unwrap().as_second()
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

    /// Returns the first and the last evaluation that fires from `now` until `end`, for each app.
    fn fired(&self, tables: &Tables, mut now: i64, end: i64) -> BTreeMap<String, (i64, i64)> {
        let mut fired: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        while now <= end {
            for app in self.evaluate(tables, now).unwrap() {
                fired.entry(app).or_insert((now, now)).1 = now;
            }
            now += self.frequency;
        }
        fired
    }
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
            let (start, end) = match &case["evaluated"] {
                Value::Null => (time("00:00:00"), time("00:00:00") + 2 * 86_400),
                times => (time(text(&times[0])), time(text(&times[1]))),
            };
            let fired = rule.fired(&tables(case), start, end);
            let expected: BTreeMap<String, (i64, i64)> = case["fires"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(app, times)| (app.clone(), (second(&times[0]), second(&times[1]))))
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
    assert_eq!(rules.len(), 21, "a log alert without recorded rows");
}

/// With the former settings neither alert could fire.
#[test]
fn a_rule_of_several_points_without_a_time_is_rejected() {
    let mut rule = rules()["scaler"].clone();
    assert!(rule.points > 1);
    let tables = tables(&serde_json::json!({ "rows": [] }));
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
    let lag = read("shared/operations/src/topics/lag.rs");
    let rules = rules();
    let query = &rules["retry-overdue"].query;
    for field in ["groups", "stage", "topic", "lag", "oldest_unfinished"] {
        assert!(
            lag.contains(&format!("pub {field}:")) && query.contains(field),
            "{field}"
        );
    }
    // The line of `reconcile` may be split, with `well` in its first part.
    let reconciliation = read("shared/operations/src/reconcile/reconciliation.rs");
    let well = reconciliation.find("pub well: bool").unwrap();
    assert!(well < reconciliation.find("pub findings:").unwrap());
    assert!(rules["reconcile-failed"].query.contains("\"well\":false"));
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
