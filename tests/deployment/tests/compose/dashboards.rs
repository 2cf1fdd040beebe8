//! What Prometheus scrapes, and where Grafana finds the dashboard and its data source. The panels and rules themselves are in the
//! suite `bicep`, with the definition that they are made from.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::stack::{read, service, texts};
use xact_contracts::topology::STAGES;

fn dashboard() -> Value {
    serde_json::from_str(&read("infra/grafana/dashboards/overview.json")).unwrap()
}

#[test]
fn every_panel_has_a_data_source_that_is_provisioned() {
    let sources = read("infra/grafana/provisioning/datasources/datasources.yaml");
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let uid = target["datasource"]["uid"].as_str().unwrap();
            assert!(sources.contains(&format!("uid: {uid}\n")), "{uid}");
        }
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
