//! `infra/grafana/dashboards/overview.json`.

use serde_json::{Value, json};

use super::definition::{check_generated, rows};
use crate::snapshot::list;

/// Columns of the dashboard.
const COLUMNS: u64 = 24;

/// Sets the panels from left to right and from top to bottom, with ids in this order.
#[derive(Default)]
struct Layout {
    panels: Vec<Value>,
    y: u64,
}

impl Layout {
    fn add(&mut self, mut panel: Value, x: u64, width: u64, height: u64) {
        panel["id"] = (self.panels.len() + 1).into();
        panel["gridPos"] = json!({ "x": x, "y": self.y, "w": width, "h": height });
        self.panels.push(panel);
    }
}

fn dashboard() -> Value {
    let mut layout = Layout::default();
    for row in rows() {
        let header = json!({ "type": "row", "title": row["title"], "collapsed": false, "panels": [] });
        layout.add(header, 0, COLUMNS, 1);
        layout.y += 1;
        let mut x = 0;
        let mut height = 0;
        for panel in list(&row["panels"]) {
            let width = panel["width"].as_u64().unwrap();
            height = if panel["kind"] == "stat" { 4 } else { 7 };
            layout.add(of(panel), x, width, height);
            x += width;
        }
        assert_eq!(x, COLUMNS, "the row {} is not as wide as the dashboard", row["title"]);
        layout.y += height;
    }
    json!({
        "uid": "xact-pipeline",
        "title": "xact-pipeline",
        "description": "Made from bicep/monitoring/panels.yaml: see there.",
        "tags": ["xact-pipeline"],
        "timezone": "utc",
        "editable": false,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [] },
        "annotations": { "list": [] },
        "panels": layout.panels,
    })
}

fn of(panel: &Value) -> Value {
    let source = json!({ "type": "prometheus", "uid": "prometheus" });
    let target = |(query, id): (&Value, char)| {
        json!({
            "refId": id,
            "expr": query["promql"],
            "legendFormat": query["legend"].as_str().unwrap_or_default(),
            "datasource": source,
        })
    };
    let targets: Vec<Value> = list(&panel["queries"]).iter().zip('A'..).map(target).collect();
    let mut defaults = json!({ "unit": panel["unit"], "min": 0 });
    let options = if panel["kind"] == "stat" {
        let steps = match panel["red"].as_u64() {
            Some(red) => json!([{ "color": "green", "value": null }, { "color": "red", "value": red }]),
            None => json!([{ "color": "text", "value": null }]),
        };
        defaults["thresholds"] = json!({ "mode": "absolute", "steps": steps });
        json!({ "colorMode": "value", "graphMode": "area", "reduceOptions": { "calcs": ["lastNotNull"] } })
    } else {
        json!({
            "legend": { "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        })
    };
    if let Some(max) = panel["max"].as_u64() {
        defaults["max"] = max.into();
    }
    if panel["stacked"] == true {
        defaults["custom"] = json!({ "fillOpacity": 30, "stacking": { "mode": "normal", "group": "A" } });
    }
    json!({
        "type": panel["kind"],
        "title": panel["title"],
        "description": panel["description"].as_str().unwrap_or_default(),
        "datasource": source,
        "targets": targets,
        "fieldConfig": { "defaults": defaults, "overrides": [] },
        "options": options,
    })
}

#[test]
fn the_dashboard_is_made_from_the_definition() {
    check_generated(
        "infra/grafana/dashboards/overview.json",
        &format!("{:#}\n", dashboard()),
    );
}
