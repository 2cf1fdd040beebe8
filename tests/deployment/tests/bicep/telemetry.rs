//! Application Insights: where the handlers send traces and metrics, and what the collector does with them.

use serde_json::{Value, json};

use crate::snapshot::{Variant, list, text};
use xact_contracts::topology::STAGES;

fn collector(variant: Variant) -> Option<&'static Value> {
    let mut apps = variant.snapshot().of_type("Microsoft.App/containerApps");
    apps.find(|app| text(&app["name"]).ends_with("-collector"))
}

fn variable<'a>(app: &'a Value, name: &str) -> Option<&'a str> {
    let variables = list(&app["properties"]["template"]["containers"][0]["env"]);
    let found = variables.iter().find(|variable| variable["name"] == name);
    found.map(|variable| text(&variable["value"]))
}

#[test]
fn one_parameter_turns_application_insights_off() {
    for variant in Variant::WITH_APPS {
        let is_on = variant != Variant::Changed;
        let insights = variant.snapshot().of_type("Microsoft.Insights/components");
        assert_eq!(insights.count(), usize::from(is_on), "{variant:?}");
        let endpoint = collector(variant).map(|app| format!("http://{}", text(&app["name"])));
        assert_eq!(endpoint.is_some(), is_on, "{variant:?}");
        for row in &STAGES {
            let app = variant.snapshot().app(row.name);
            let found = variable(app, "OTEL_EXPORTER_OTLP_ENDPOINT");
            assert_eq!(found, endpoint.as_deref(), "{}", row.name);
            // Application Insights adds values up.
            let temporality = variable(app, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE");
            assert_eq!(
                temporality,
                Some(if is_on { "delta" } else { "cumulative" }),
                "{}",
                row.name
            );
        }
    }
}

/// The managed agent would inject the address of a gRPC port, which the handlers' exporter does not speak to.
#[test]
fn the_managed_agent_of_the_environment_is_not_used() {
    for variant in Variant::ALL {
        let environment = &variant.snapshot().only("Microsoft.App/managedEnvironments")["properties"];
        for property in ["openTelemetryConfiguration", "appInsightsConfiguration"] {
            assert!(environment.get(property).is_none(), "{variant:?}: {property}");
        }
    }
}

#[test]
fn the_collector_takes_otlp_over_http_from_the_environment_alone() {
    let app = collector(Variant::Prod).unwrap();
    let ingress = &app["properties"]["configuration"]["ingress"];
    let expected = json!({ "external": false, "targetPort": 4318, "transport": "http", "allowInsecure": true });
    assert_eq!(*ingress, expected);
    assert!(app["tags"].get("stage").is_none(), "rollouts wait for stages only");
    let connection = variable(app, "APPLICATIONINSIGHTS_CONNECTION_STRING").unwrap();
    assert!(connection.ends_with(".ConnectionString]"), "{connection}");
}

#[test]
fn the_collector_sends_traces_and_metrics_to_application_insights() {
    let text = variable(collector(Variant::Prod).unwrap(), "COLLECTOR_CONFIGURATION").unwrap();
    let configuration: Value = serde_json::from_str(text).unwrap();
    let service = &configuration["service"];
    let pipelines = service["pipelines"].as_object().unwrap();
    assert_eq!(pipelines.len(), 2, "logs go the way of every container's log");
    let is_defined = |section: &str, names: &Value| {
        for name in list(names) {
            let defined = configuration[section].get(name.as_str().unwrap());
            assert!(defined.is_some(), "{section}: {name}");
        }
    };
    is_defined("extensions", &service["extensions"]);
    for (signal, pipeline) in pipelines {
        assert_eq!(pipeline["receivers"], json!(["otlp"]), "{signal}");
        assert_eq!(pipeline["exporters"], json!(["azure_monitor"]), "{signal}");
        is_defined("processors", &pipeline["processors"]);
    }
    let processors = list(&pipelines["traces"]["processors"]);
    assert!(processors.contains(&"probabilistic_sampler".into()));
}
