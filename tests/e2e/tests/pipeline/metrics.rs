//! All metrics of the predecessor's dashboards exist and have values, and the requests to OneLake are counted as OneLake bills
//! them.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;

use crate::one_lake;
use xact_testkit::command::wait_no_lag_of;
use xact_testkit::events::{RAW, event};
use xact_testkit::stages::STAGES;
use xact_testkit::{Metrics, Pipeline, Running, command, kcat, variables};
use xact_testkit::{Result, WorkDir, wait_until};

const DONE: Duration = Duration::from_secs(90);

/// Every name of the predecessor that a run with failing downloads feeds.
const FED: [&str; 27] = [
    "kafka_messages_produced_total",
    "kafka_messages_produced_bytes_total",
    "kafka_messages_consumed_total",
    "kafka_messages_consumed_bytes_total",
    "kafka_consumer_lag",
    "kafka_consumer_offset",
    "kafka_processing_errors_total",
    "kafka_message_processing_duration_seconds",
    "kafka_circuit_breaker_state",
    "kafka_circuit_breaker_failures_total",
    "kafka_connection_status",
    "kafka_consumer_assigned_partitions",
    "kafka_downloads_concurrent",
    "kafka_uploads_concurrent",
    "delta_writes_total",
    "delta_events_written_total",
    "delta_write_duration_seconds",
    "kafka_events_ingested_total",
    "kafka_event_tasks_produced_total",
    "kafka_event_ingestion_duration_seconds",
    "onelake_operations_total",
    "onelake_bytes_transferred_total",
    "onelake_operation_duration_seconds",
    "kafka_retry_attempts_total",
    "kafka_retry_exhausted_total",
    "kafka_dlq_messages_total",
    "kafka_retry_delay_seconds",
];

/// Failures of a broker and of a lake: `predecessor_faults.rs` provokes them.
const FED_BY_FAULTS: [&str; 2] = ["kafka_producer_errors_total", "onelake_operation_errors_total"];

#[test]
fn every_metric_of_the_predecessors_dashboards_has_values() -> Result<()> {
    assert_eq!(FED.len() + FED_BY_FAULTS.len(), 29, "the metrics that dashboards use");
    let dir = WorkDir::new("metrics")?;
    // One retry after one second, so that tasks run out of attempts within the test.
    let environment = [("RETRY_DELAYS", "1"), ("MAX_RETRIES", "1")];
    let pipeline = Pipeline::start(&environment, &dir)?;
    let broker = pipeline.broker()?;
    let local = format!("http://localhost:{}", pipeline.sample_port()?);
    let client = variables(&[
        ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker.as_str()),
        ("RETRY_DELAYS", "1"),
    ]);
    command(&["demo", "--events", "100"], client.clone(), &dir)?.success()?;
    // More failures in a row than a host may have: its breaker opens. No other test or sample uses this host.
    let urls: Vec<String> = (0..15)
        .map(|index| format!("{local}/unavailable/1000/{index}/a.pdf"))
        .collect();
    kcat::produce(&broker, RAW, "unavailable", &event("unavailable", &json!(urls)))?;

    wait_no_lag_of(DONE, &client, &dir).map_err(|error| pipeline.running.process.error(&error.to_string()))?;
    // Statistics come once a second: lag and positions follow the last commit.
    let metrics = wait_until(DONE, "the lag of every group is down to nothing", || {
        let metrics = pipeline.running.metrics().ok()?;
        (metrics.sum("kafka_consumer_lag", &[]) == 0.0).then_some(metrics)
    })?;

    let unfed: Vec<&str> = FED.into_iter().filter(|name| !metrics.has(name)).collect();
    assert_eq!(unfed, Vec::<&str>::new(), "these have no sample");
    the_breaker_opened_and_attempts_ran_out(&metrics);
    the_labels_are_the_predecessors(&metrics);
    every_group_is_measured(&metrics);
    // Nothing runs now, and nothing is counted as running.
    for name in ["kafka_downloads_concurrent", "kafka_uploads_concurrent"] {
        assert_eq!(metrics.sum(name, &[]), 0.0, "{name}");
    }
    Ok(())
}

fn the_breaker_opened_and_attempts_ran_out(metrics: &Metrics) {
    let failures = metrics.sum("kafka_circuit_breaker_failures_total", &[]);
    assert!(failures >= 10.0, "{failures} failures");
    let spared = metrics.sum("kafka_retry_attempts_total", &[("error_category", "circuit_open")])
        + metrics.sum("kafka_retry_exhausted_total", &[("error_category", "circuit_open")]);
    assert!(
        spared >= 5.0,
        "of 30 attempts at a dead host most are spared, not {spared}"
    );
    assert_eq!(metrics.sum("kafka_retry_exhausted_total", &[("domain", "xact")]), 15.0);
    assert_eq!(
        metrics.sum(
            "kafka_dlq_messages_total",
            &[("domain", "xact"), ("reason", "exhausted")]
        ),
        15.0
    );
    // 404, expired, HTML and a refused host, twice each, and two unreadable messages.
    assert_eq!(
        metrics.sum(
            "kafka_dlq_messages_total",
            &[("domain", "xact"), ("reason", "permanent")]
        ),
        10.0
    );
}

/// Dashboards select by these.
fn the_labels_are_the_predecessors(metrics: &Metrics) {
    let labels: [(&str, &[&str]); 12] = [
        ("kafka_messages_produced_total", &["topic", "status"]),
        ("kafka_messages_consumed_total", &["topic", "consumer_group", "status"]),
        ("kafka_consumer_lag", &["topic", "partition", "consumer_group"]),
        (
            "kafka_processing_errors_total",
            &["topic", "consumer_group", "error_category"],
        ),
        (
            "kafka_message_processing_duration_seconds_bucket",
            &["topic", "consumer_group", "le"],
        ),
        ("kafka_circuit_breaker_state", &["component"]),
        ("kafka_connection_status", &["component"]),
        ("kafka_downloads_concurrent", &["worker"]),
        ("delta_writes_total", &["table", "status"]),
        ("kafka_events_ingested_total", &["domain", "status"]),
        ("onelake_operations_total", &["operation", "status"]),
        ("kafka_retry_attempts_total", &["domain", "error_category"]),
    ];
    for (name, labels) in labels {
        for label in labels {
            assert!(
                !metrics.values_of(name, label).is_empty(),
                "{name} has no label {label}"
            );
        }
    }
    for (name, buckets) in [
        (
            "kafka_message_processing_duration_seconds_bucket",
            "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 +Inf",
        ),
        (
            "delta_write_duration_seconds_bucket",
            "0.1 0.5 1 2.5 5 10 30 60 120 +Inf",
        ),
        (
            "kafka_event_ingestion_duration_seconds_bucket",
            "0.001 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 +Inf",
        ),
        (
            "onelake_operation_duration_seconds_bucket",
            "0.1 0.25 0.5 1 2.5 5 10 30 60 120 +Inf",
        ),
        ("kafka_retry_delay_seconds_bucket", "60 120 300 600 1200 2400 3600 +Inf"),
    ] {
        let found = metrics.values_of(name, "le");
        let expected: Vec<&str> = buckets.split(' ').collect();
        assert_eq!(found[..expected.len()], expected, "{name}");
    }
}

/// Lag, position, partitions and messages of each of the seven groups.
fn every_group_is_measured(metrics: &Metrics) {
    for (stage, group, partitions) in STAGES {
        // One retry delay here, so one retry topic of three partitions.
        let partitions = if stage == "retry-scheduler" { 3 } else { partitions };
        let of_group = [("consumer_group", group)];
        assert_eq!(
            metrics.sum("kafka_consumer_assigned_partitions", &of_group),
            f64::from(partitions),
            "{group}"
        );
        assert!(
            metrics.sum("kafka_messages_consumed_total", &of_group) > 0.0,
            "{group} has consumed nothing"
        );
        assert!(
            metrics.sum("kafka_messages_consumed_bytes_total", &of_group) > 0.0,
            "{group} has consumed nothing"
        );
        assert!(
            metrics.sum("kafka_consumer_offset", &of_group) > 0.0,
            "{group} has no position"
        );
        let groups = metrics.values_of("kafka_consumer_lag", "consumer_group");
        assert!(groups.iter().any(|seen| seen == group), "{group} has no lag");
        assert!(
            metrics.sum("xact_stage_latency_seconds_count", &[("stage", stage)]) > 0.0,
            "{stage} has no latency"
        );
    }
    for table in ["xact_events", "xact_attachments", "xact_attachments_failed"] {
        assert!(
            metrics.sum("delta_writes_total", &[("table", table), ("status", "success")]) > 0.0,
            "{table}"
        );
        assert!(
            metrics.sum("xact_end_to_end_seconds_count", &[("table", table)]) > 0.0,
            "{table}"
        );
    }
}

#[test]
fn the_handlers_count_what_one_lake_bills() -> Result<()> {
    let (mut fleet, lake, _identity) = one_lake::fleet("billed", &[])?;
    fleet.start(&STAGES.map(|(stage, _, _)| stage))?;
    for number in 0..6 {
        let trace_id = format!("billed-{number}");
        let url = |kind: &str, bytes: u32| format!("https://claimxperience.com/{kind}/{bytes}/{trace_id}/{bytes}.pdf");
        // One request, several of them, and none.
        let urls = json!([url("ok", 3000), url("ok", 5_000_000), url("missing", 3000)]);
        fleet.send("raw", &trace_id, &event(&trace_id, &urls))?;
    }
    fleet.wait_no_lag(DONE)?;
    let bill = lake.requests()?["bill"].clone();
    let scrapes: Vec<Metrics> = fleet.handlers().values().map(Running::metrics).collect::<Result<_>>()?;
    let sum = |name: &str, labels: &[(&str, &str)]| scrapes.iter().map(|scrape| scrape.sum(name, labels)).sum::<f64>();
    let micros = |labels: &[(&str, &str)]| (sum("onelake_cu_seconds_total", labels) * 1e6).round() as u64;

    let classes = bill["classes"].as_object().unwrap();
    assert!(
        classes["write"]["requests"].as_u64() >= Some(6 + 6 * 3 + 3 * 2),
        "{bill:#}"
    );
    for (class, charge) in classes {
        let counted = sum("onelake_requests_total", &[("billing", class.as_str())]) as u64;
        assert_eq!(Some(counted), charge["requests"].as_u64(), "{class}");
    }
    assert_eq!(
        Some(sum("onelake_requests_total", &[]) as u64),
        bill["total"]["requests"].as_u64(),
        "no other class is counted"
    );
    assert_eq!(Some(micros(&[])), bill["total"]["micro_cu_seconds"].as_u64());
    let files = &bill["areas"]["Files"]["total"]["micro_cu_seconds"];
    assert_eq!(
        Some(micros(&[("stage", "upload"), ("target", "files")])),
        files.as_u64()
    );
    let tables =
        ["xact_events", "xact_attachments", "xact_attachments_failed"].map(|table| micros(&[("target", table)]));
    assert!(tables.iter().all(|micros| *micros > 0), "{tables:?}");
    Ok(())
}
