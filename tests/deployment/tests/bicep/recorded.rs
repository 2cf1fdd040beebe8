//! Rows of the workspace's tables, recorded or as the documentation says they are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use crate::kusto::{Row, Table, Tables, Value};
use crate::snapshot::{list, text};

/// The day of all cases.
const DAY: &str = "2026-11-01";

/// The tables with their columns; `TimeGenerated` is in each of them. A column of a text is empty, not null.
/// <https://learn.microsoft.com/azure/azure-monitor/reference/tables/containerappconsolelogs>, `…/containerappsystemlogs` and
/// `…/appmetrics`.
fn columns() -> BTreeMap<&'static str, Vec<(&'static str, Value)>> {
    let texts = |names: &[&'static str]| -> Vec<(&'static str, Value)> {
        names.iter().map(|&name| (name, Value::Text(String::new()))).collect()
    };
    let console = texts(&[
        "ContainerAppName",
        "JobName",
        "ContainerGroupName",
        "RevisionName",
        "Log",
    ]);
    let mut system = texts(&["ContainerAppName", "JobName", "RevisionName", "ReplicaName"]);
    system.extend(texts(&["EventSource", "Reason", "Log"]));
    let mut metrics = texts(&["Name", "AppRoleName", "AppRoleInstance"]);
    metrics.extend(["Sum", "ItemCount", "Min", "Max"].map(|name| (name, Value::Number(0.0))));
    metrics.push(("Properties", Value::Dynamic("null".to_owned())));
    BTreeMap::from([
        ("ContainerAppConsoleLogs", console),
        ("ContainerAppSystemLogs", system),
        ("AppMetrics", metrics),
    ])
}

/// Returns the second of a time of the day of all cases.
pub(crate) fn time(of_day: &str) -> i64 {
    format!("{DAY}T{of_day}Z").parse::<Timestamp>().unwrap().as_second()
}

/// Returns the times of a row: one, or `06:00:30..07:00:30 every 1m`.
fn times(at: &str) -> Vec<i64> {
    let Some((range, every)) = at.split_once(" every ") else {
        return vec![time(at)];
    };
    let (first, last) = range.split_once("..").unwrap();
    let every = usize::try_from(every.parse::<SignedDuration>().unwrap().as_secs()).unwrap();
    (time(first)..=time(last)).step_by(every).collect()
}

/// Returns the tables of a case. A row stands once, with all its times.
pub(crate) fn tables(case: &Json) -> Tables {
    let known = columns();
    let empty = |(name, columns): (&&str, &Vec<(&str, Value)>)| {
        let columns = columns.iter().map(|(name, _)| *name).chain(["TimeGenerated"]);
        let table = Table {
            columns: columns.map(str::to_owned).collect(),
            rows: Vec::new(),
        };
        ((*name).to_owned(), table)
    };
    let mut tables: Tables = known.iter().map(empty).collect();
    for recorded in list(&case["rows"]) {
        let name = text(&recorded["table"]);
        let empty = known[name]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut row: Row = empty.collect();
        for (name, json) in recorded["row"].as_object().unwrap() {
            let value = match row.get(name).unwrap_or_else(|| panic!("{name}")) {
                Value::Text(_) if json.is_string() => Value::Text(text(json).to_owned()),
                // The log of a handler is one object in a line.
                Value::Text(_) => Value::Text(json.to_string()),
                Value::Number(_) => Value::Number(json.as_f64().unwrap()),
                _ => Value::Dynamic(json.to_string()),
            };
            row.insert(name.clone(), value);
        }
        for at in list(&recorded["at"]).iter().flat_map(|at| times(text(at))) {
            row.insert("TimeGenerated".to_owned(), Value::Time(at));
            tables.get_mut(name).unwrap().rows.push(row.clone());
        }
    }
    tables
}
