//! Traces and metrics reach Application Insights: handlers, the real OpenTelemetry Collector with the configuration of the
//! deployment, and a stand-in for the ingestion endpoint.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use xact_testkit::bicep::Deployment;
use xact_testkit::collector::Collector;
use xact_testkit::events::event;
use xact_testkit::{Fleet, Kafka, Result, kcat, stages};

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

/// Returns whether an envelope is of a span:
/// <https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/azuremonitorexporter>.
fn is_span(envelope: &Value) -> bool {
    let kind = &envelope["data"]["baseType"];
    kind == "RequestData" || kind == "RemoteDependencyData"
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn roles(spans: &[Value]) -> BTreeSet<String> {
    spans
        .iter()
        .map(|span| text(&span["tags"]["ai.cloud.role"]).to_owned())
        .collect()
}

/// Returns the spans whose parent is neither one of them nor `root`.
fn orphans<'a>(spans: &'a [Value], root: &str) -> Vec<&'a Value> {
    let ids: BTreeSet<&str> = spans.iter().map(|span| text(&span["data"]["baseData"]["id"])).collect();
    let is_orphan = |span: &&Value| {
        let parent = text(&span["tags"]["ai.operation.parentId"]);
        parent != root && !ids.contains(parent)
    };
    spans.iter().filter(is_orphan).collect()
}

#[test]
fn real_collector_receives_one_trace_of_an_event_through_all_stages_a_retry_and_a_replay() -> Result<()> {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SOURCE_SPAN: &str = "00f067aa0ba902b7";
    let kafka = Kafka::start()?;
    let collector = Collector::start(&Deployment::of("main.prod.bicepparam").predict()?)?;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("MAX_RETRIES", "1"),
        ("RETRY_DELAYS", "1"),
    ];
    let mut fleet = Fleet::whole(kafka.bootstrap(), "one-trace", &settings)?;
    // The download fails, is retried, fails and is dead-lettered; the replay fails, is retried, and succeeds.
    let url = "https://claimxperience.com/unavailable-thrice/9000/one-trace/a.pdf";
    let header = format!("traceparent=00-{TRACE}-{SOURCE_SPAN}-01");
    let raw = event("one-trace", &json!([url]));
    kcat::produce_with(
        kafka.bootstrap(),
        &fleet.topic("raw"),
        &["-k", "one-trace", "-H", &header],
        &raw,
    )?;
    // Its source begins no trace.
    fleet.send("raw", "no-trace", &event("no-trace", &json!([])))?;
    fleet.wait_records("dlq", 1)?;
    fleet
        .run(&["dlq", "replay", "--everything", "--yes"])?
        .ended_with(0, &["1 replayed, 0 refused"])?;
    fleet.wait_until("the attachment's row is written", || {
        let written = fleet["result-processor"].sum("delta_events_written_total", &[("table", "xact_attachments")]);
        written.is_ok_and(|rows| rows > 0.0).then_some(())
    })?;
    // Its own event is another trace.
    let validated = fleet.run(&["validate", "--json"])?.json_lines().remove(0);
    fleet.stop(&stages::names())?;

    let stages_of_a_success = [
        "event-ingester",
        "event-writer",
        "download",
        "upload",
        "result-processor",
        "validate",
    ];
    let success = stages_of_a_success.map(|name| format!("xact-pipeline-{name}"));
    let success: BTreeSet<String> = success.into_iter().collect();
    // The collector sends what the processes left behind, in several requests.
    let names = stages::names();
    let (of_event, without, of_validate) = fleet.wait_until("every span and its parent", || {
        let mut spans: Vec<Value> = collector.received().into_iter().filter(is_span).collect();
        let all = roles(&spans).len() == names.len() + 1;
        let without: Vec<Value> = spans
            .extract_if(.., |span| {
                span["data"]["baseData"]["properties"]["trace_id"] == "no-trace"
            })
            .collect();
        let of_event: Vec<Value> = spans
            .extract_if(.., |span| span["tags"]["ai.operation.id"] == TRACE)
            .collect();
        let has_all = all && orphans(&of_event, SOURCE_SPAN).is_empty() && orphans(&spans, "").is_empty();
        (has_all && roles(&without).len() == 2 && roles(&spans) == success).then_some((of_event, without, spans))
    })?;
    assert_eq!(roles(&of_event).len(), names.len());
    let traces = |spans: &[Value]| -> BTreeSet<String> {
        spans
            .iter()
            .map(|span| text(&span["tags"]["ai.operation.id"]).to_owned())
            .collect()
    };
    assert_eq!(
        traces(&of_validate),
        BTreeSet::from([text(&validated["trace"]).to_owned()])
    );
    assert_eq!(
        traces(&without).len(),
        1,
        "both readers continue one trace: {without:#?}"
    );
    let of_stage = |stage: &str| {
        let role = format!("xact-pipeline-{stage}");
        of_event
            .iter()
            .filter(|span| span["tags"]["ai.cloud.role"] == *role)
            .count()
    };
    let (attempts, holds) = (of_stage("download"), of_stage("retry-scheduler"));
    assert!(attempts >= 4 && holds >= 2, "{attempts} downloads, {holds} retries");
    Ok(())
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
        (counted(&received) >= EVENTS as f64 && received.iter().any(is_span)).then_some(())
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
