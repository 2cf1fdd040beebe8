//! Traces and metrics reach Application Insights: handlers, the real OpenTelemetry Collector with the configuration of the
//! deployment, and a stand-in for the ingestion endpoint.

use serde_json::{Value, json};

use xact_testkit::bicep::Deployment;
use xact_testkit::collector::Collector;
use xact_testkit::{Fleet, Kafka, Result};

const EVENTS: usize = 20;

/// Sums the values of a counter as a dashboard of Application Insights does.
fn sum(received: &[Value], metric: &str, labels: &[(&str, &str)]) -> f64 {
    let metrics = received
        .iter()
        .map(|envelope| &envelope["data"]["baseData"])
        .filter(|data| labels.iter().all(|(name, value)| data["properties"][name] == *value));
    metrics
        .filter_map(|data| data["metrics"].get(0).filter(|one| one["name"] == metric)?["value"].as_f64())
        .sum()
}

#[test]
fn real_collector_counts_every_event_once_for_application_insights() -> Result<()> {
    let kafka = Kafka::start()?;
    let collector = Collector::start(&Deployment::of("main.prod.bicepparam").predict()?)?;
    let mut fleet = Fleet::new(
        kafka.bootstrap(),
        "telemetry",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            // Several exports, and the last one when the process stops.
            ("OTEL_METRIC_EXPORT_INTERVAL", "300"),
        ],
    )?;
    fleet.start(&["event-ingester"])?;
    for number in 0..EVENTS {
        fleet.send_event(&format!("telemetry-{number}"), &json!([]))?;
    }
    fleet.wait_until("all events are read", || {
        let read = fleet["event-ingester"].sum("kafka_messages_consumed_total", &[("status", "success")]);
        read.is_ok_and(|read| read == EVENTS as f64).then_some(())
    })?;
    fleet.stop(&["event-ingester"])?;
    let counted = |received: &[Value]| sum(received, "kafka_messages_consumed_total", &[("status", "success")]);
    fleet.wait_until("Application Insights has every event, and its spans", || {
        let received = collector.received();
        // What spans become: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/azuremonitorexporter
        let is_span = |kind: &Value| kind == "RequestData" || kind == "RemoteDependencyData";
        let has_spans = received.iter().any(|envelope| is_span(&envelope["data"]["baseType"]));
        (counted(&received) >= EVENTS as f64 && has_spans).then_some(())
    })?;
    let received = collector.received();
    assert_eq!(counted(&received), EVENTS as f64, "each once");
    let roles: Vec<&Value> = received
        .iter()
        .map(|envelope| &envelope["tags"]["ai.cloud.role"])
        .collect();
    assert!(
        roles.iter().all(|role| *role == "xact-pipeline-event-ingester"),
        "{roles:?}"
    );
    Ok(())
}
