//! All metrics that dashboards use exist and have values, and the requests to OneLake are counted as OneLake bills
//! them.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use crate::one_lake;
use xact_testkit::events::event;
use xact_testkit::stages::STAGES;
use xact_testkit::{Metrics, Pipeline, Result, Running, WorkDir};

/// The names that dashboards and alerts outside this repository use.
const PUBLIC: &str = include_str!("../../../metric-names.txt");
/// Those of them that failures of a broker and of a lake feed: `lost_messages.rs` provokes them.
const FED_BY_FAULTS: [&str; 2] = ["kafka_producer_errors_total", "onelake_operation_errors_total"];

#[test]
fn every_metric_of_the_dashboards_has_values() -> Result<()> {
    let dir = WorkDir::new("metrics")?;
    // One retry after one second, so that tasks run out of attempts within the test.
    let environment = [("RETRY_DELAYS", "1"), ("MAX_RETRIES", "1")];
    let pipeline = Pipeline::start(&environment, &dir)?;
    let local = format!("http://localhost:{}", pipeline.sample_port()?);
    pipeline.run(&["demo", "--events", "100"])?.success()?;
    // More failures in a row than a host may have: its breaker opens. No other test or sample uses this host.
    let url = |index| format!("{local}/unavailable/1000/{index}/a.pdf");
    let urls: Vec<String> = (0..15).map(url).collect();
    pipeline.send("unavailable", &event("unavailable", &json!(urls)))?;
    pipeline.wait_no_lag()?;
    // Statistics come once a second: lag and positions follow the last commit.
    pipeline.running.wait_sum("kafka_consumer_lag", 0.0)?;

    let metrics = pipeline.running.metrics()?;
    let fed = PUBLIC.lines().filter(|name| !FED_BY_FAULTS.contains(name));
    let unfed: Vec<&str> = fed.filter(|name| !metrics.has(name)).collect();
    assert_eq!(unfed, [""; 0], "metrics without a sample");
    the_breaker_opened_and_attempts_ran_out(&metrics);
    labels_and_buckets_are_those_of_the_dashboards(&metrics);
    every_group_is_measured(&metrics);
    // Nothing is in flight now.
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
        "{spared} of 30 attempts at an unavailable host were not made"
    );
    assert_eq!(metrics.sum("kafka_retry_exhausted_total", &[("domain", "xact")]), 15.0);
    let letters = |reason| metrics.sum("kafka_dlq_messages_total", &[("domain", "xact"), ("reason", reason)]);
    // Permanent are 404, expired, HTML and a refused host, twice each, and two unreadable messages.
    assert_eq!([letters("exhausted"), letters("permanent")], [15.0, 10.0]);
}

/// Metrics with the labels by which dashboards select.
const LABELS: &str = "\
kafka_messages_produced_total topic status
kafka_messages_consumed_total topic consumer_group status
kafka_consumer_lag topic partition consumer_group
kafka_processing_errors_total topic consumer_group error_category
kafka_message_processing_duration_seconds_bucket topic consumer_group le
kafka_circuit_breaker_state component
kafka_connection_status component
kafka_downloads_concurrent worker
delta_writes_total table status
kafka_events_ingested_total domain status
onelake_operations_total operation status
kafka_retry_attempts_total domain error_category";

/// Histograms with their buckets.
const BUCKETS: &str = "\
kafka_message_processing_duration_seconds 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 +Inf
delta_write_duration_seconds 0.1 0.5 1 2.5 5 10 30 60 120 +Inf
kafka_event_ingestion_duration_seconds 0.001 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 +Inf
onelake_operation_duration_seconds 0.1 0.25 0.5 1 2.5 5 10 30 60 120 +Inf
kafka_retry_delay_seconds 60 120 300 600 1200 2400 3600 +Inf";

fn labels_and_buckets_are_those_of_the_dashboards(metrics: &Metrics) {
    for (name, labels) in LABELS.lines().filter_map(|line| line.split_once(' ')) {
        for label in labels.split(' ') {
            let values = metrics.values_of(name, label);
            assert!(!values.is_empty(), "{name} has no label {label}");
        }
    }
    for (name, buckets) in BUCKETS.lines().filter_map(|line| line.split_once(' ')) {
        let found = metrics.values_of(&format!("{name}_bucket"), "le");
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
        let assigned = metrics.sum("kafka_consumer_assigned_partitions", &of_group);
        assert_eq!(assigned, f64::from(partitions), "{group}");
        for name in ["messages_consumed", "messages_consumed_bytes"] {
            assert!(
                metrics.sum(&format!("kafka_{name}_total"), &of_group) > 0.0,
                "{name} of {group}"
            );
        }
        let position = metrics.sum("kafka_consumer_offset", &of_group);
        assert!(position > 0.0, "{group} has no position");
        let groups = metrics.values_of("kafka_consumer_lag", "consumer_group");
        assert!(groups.iter().any(|found| found == group), "{group} has no lag");
        let latencies = metrics.sum("xact_stage_latency_seconds_count", &[("stage", stage)]);
        assert!(latencies > 0.0, "{stage} has no latency");
    }
    for table in ["xact_events", "xact_attachments", "xact_attachments_failed"] {
        let writes = metrics.sum("delta_writes_total", &[("table", table), ("status", "success")]);
        let latencies = metrics.sum("xact_end_to_end_seconds_count", &[("table", table)]);
        assert!(
            writes > 0.0 && latencies > 0.0,
            "{table}: {writes} writes, {latencies} latencies"
        );
    }
}

#[test]
fn the_handlers_count_what_one_lake_bills() -> Result<()> {
    let (mut fleet, lake) = one_lake::fleet("billed", &[])?;
    fleet.start_all()?;
    for number in 0..6 {
        let trace_id = format!("billed-{number}");
        let url = |kind: &str, bytes: u32| format!("https://claimxperience.com/{kind}/{bytes}/{trace_id}/{bytes}.pdf");
        // One request, several of them, and none.
        let urls = json!([url("ok", 3000), url("ok", 5_000_000), url("missing", 3000)]);
        fleet.send("raw", &trace_id, &event(&trace_id, &urls))?;
    }
    fleet.wait_no_lag()?;
    let bill = lake.bill()?;
    let scrapes: Vec<Metrics> = fleet.handlers().values().map(Running::metrics).collect::<Result<_>>()?;
    let sum = |name: &str, labels: &[(&str, &str)]| scrapes.iter().map(|scrape| scrape.sum(name, labels)).sum::<f64>();
    let micros = |labels: &[(&str, &str)]| (sum("onelake_cu_seconds_total", labels) * 1e6).round() as u64;

    let classes = bill["classes"].as_object().unwrap();
    let least = 6 + 6 * 3 + 3 * 2;
    assert!(classes["write"]["requests"].as_u64() >= Some(least), "{bill:#}");
    for (class, charge) in classes {
        let counted = sum("onelake_requests_total", &[("billing", class.as_str())]) as u64;
        assert_eq!(Some(counted), charge["requests"].as_u64(), "{class}");
    }
    let all = sum("onelake_requests_total", &[]) as u64;
    assert_eq!(
        Some(all),
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
