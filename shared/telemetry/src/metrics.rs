//! Every metric of the pipeline, declared once. Dashboards and alerts use the names.
//!
//! The whole process shares one registry; in `--dev` labels distinguish the stages.

use std::sync::LazyLock;

use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

use declare::{Vector, declare_metrics};
pub use label::{Label, Status};
use xact_contracts::category::Category;
use xact_contracts::onelake_billing::{BillingClass, Operation, cu_seconds};
use xact_contracts::topology::Stage;

mod declare;
mod label;

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Returns the metrics of this process.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// Returns the metrics with their labels and values.
pub(crate) fn gather() -> Vec<MetricFamily> {
    metrics().registry.gather()
}

/// Renders the metrics as text in the exposition format of Prometheus.
#[must_use]
pub fn render() -> String {
    TextEncoder::new()
        .encode_to_string(&gather())
        .unwrap_or_else(|error| format!("# metrics could not be rendered: {error}\n"))
}

const PROCESSING: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
const STORAGE: [f64; 9] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
const ONELAKE: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
const INGESTION: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
const RETRY_DELAY: [f64; 7] = [60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0];
const END_TO_END: [f64; 13] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0,
];

declare_metrics! {
    /// Records whose acknowledgement arrived (success) or was refused (error).
    produced: IntCounterVec("kafka_messages_produced_total", [topic, status: Status]);
    /// Bytes of the records that were produced.
    produced_bytes: IntCounterVec("kafka_messages_produced_bytes_total", [topic]);
    /// Records read, by what came of them: success, failed, unreadable.
    consumed: IntCounterVec("kafka_messages_consumed_total", [topic, consumer_group, status]);
    /// Bytes of the records read.
    consumed_bytes: IntCounterVec("kafka_messages_consumed_bytes_total", [topic, consumer_group]);
    /// Records between the committed position and the end of the partition.
    lag: IntGaugeVec("kafka_consumer_lag", [topic, partition, consumer_group]);
    /// Committed position.
    offset: IntGaugeVec("kafka_consumer_offset", [topic, partition, consumer_group]);
    /// 1 while the partition does not move though it holds records that were not read, 0 otherwise.
    partition_stuck: IntGaugeVec("kafka_consumer_partition_stuck", [topic, partition, consumer_group]);
    /// Errors that the consumer was told, by librdkafka's name of them.
    consumer_errors: IntCounterVec("kafka_consumer_errors_total", [consumer_group, error_type]);
    /// Failed messages by category.
    processing_errors: IntCounterVec("kafka_processing_errors_total", [topic, consumer_group, error_category: Category]);
    /// Records that the broker did not take, by error.
    producer_errors: IntCounterVec("kafka_producer_errors_total", [topic, error_type]);
    /// Time in the handler for one message or batch.
    processing_duration: HistogramVec("kafka_message_processing_duration_seconds", [topic, consumer_group], PROCESSING);
    /// 0 closed, 1 open, 2 half-open.
    breaker_state: IntGaugeVec("kafka_circuit_breaker_state", [component]);
    /// Failures that the circuit breaker counted.
    breaker_failures: IntCounterVec("kafka_circuit_breaker_failures_total", [component]);
    /// 1 while a broker is connected.
    connection: IntGaugeVec("kafka_connection_status", [component]);
    /// Partitions that this process reads.
    assigned_partitions: IntGaugeVec("kafka_consumer_assigned_partitions", [consumer_group]);
    /// Downloads that run now.
    downloads_concurrent: IntGaugeVec("kafka_downloads_concurrent", [worker]);
    /// Uploads that run now.
    uploads_concurrent: IntGaugeVec("kafka_uploads_concurrent", [worker]);
    /// Delta commits.
    delta_writes: IntCounterVec("delta_writes_total", [table, status: Status]);
    /// Rows added to Delta tables.
    delta_rows: IntCounterVec("delta_events_written_total", [table]);
    /// Rows of failures taken out again, because the attachment was completed after all.
    delta_removed: IntCounterVec("delta_rows_removed_total", [table]);
    /// Time of one Delta append, look-up of keys included.
    delta_write_duration: HistogramVec("delta_write_duration_seconds", [table], STORAGE);
    /// Rows that were not added because they were there: by offset or by key.
    delta_duplicates: IntCounterVec("delta_duplicate_rows_skipped_total", [table, reason]);
    /// Events that the ingester expanded.
    events_ingested: IntCounterVec("kafka_events_ingested_total", [domain, status]);
    /// Tasks that the ingester produced.
    tasks_produced: IntCounterVec("kafka_event_tasks_produced_total", [domain, task_type]);
    /// Events that hold more than the pipeline reads of them, by kind: unlisted_url (an http(s) URL outside the list of
    /// attachments), refused_timestamp, repeated_name.
    event_irregularities: IntCounterVec("kafka_event_irregularities_total", [domain, kind]);
    /// Time to expand one event.
    ingestion_duration: HistogramVec("kafka_event_ingestion_duration_seconds", [domain], INGESTION);
    /// File operations in OneLake.
    onelake_operations: IntCounterVec("onelake_operations_total", [operation, status: Status]);
    /// Failed file operations by error.
    onelake_errors: IntCounterVec("onelake_operation_errors_total", [operation, error_type]);
    /// Bytes moved to OneLake.
    onelake_bytes: IntCounterVec("onelake_bytes_transferred_total", [operation]);
    /// Time of one file operation.
    onelake_duration: HistogramVec("onelake_operation_duration_seconds", [operation], ONELAKE);
    /// Requests to OneLake that it bills, by operation and billing class (write, read, other, iterative_read, iterative_write, delete).
    onelake_requests: IntCounterVec("onelake_requests_total", [operation, billing]);
    /// What the requests cost, in capacity unit (CU) seconds, by stage and by what they were for: files or a table.
    onelake_cu_seconds: CounterVec("onelake_cu_seconds_total", [stage: Stage, target]);
    /// Failed tasks that were sent to a retry topic.
    retry_attempts: IntCounterVec("kafka_retry_attempts_total", [domain, error_category: Category]);
    /// Tasks for which no attempt was left.
    retry_exhausted: IntCounterVec("kafka_retry_exhausted_total", [domain, error_category: Category]);
    /// Dead letters, by reason: exhausted or permanent.
    dead_letters: IntCounterVec("kafka_dlq_messages_total", [domain, reason]);
    /// Delay until the next attempt of a failed task.
    retry_delay: HistogramVec("kafka_retry_delay_seconds", [domain], RETRY_DELAY);
    /// Dead letters that the dlq stage audited, by stage that gave up and category.
    dead_letters_audited: IntCounterVec("xact_dead_letters_audited_total", [stage, error_category]);
    /// From the event's timestamp to its row.
    end_to_end: HistogramVec("xact_end_to_end_seconds", [table], END_TO_END);
    /// From the record's timestamp to the end of its work in a stage.
    stage_latency: HistogramVec("xact_stage_latency_seconds", [stage: Stage], END_TO_END);
    /// Workers that failed as a whole and were restarted.
    worker_restarts: IntCounterVec("xact_worker_restarts_total", [worker]);
    /// Bytes downloaded.
    download_bytes: IntCounterVec("xact_download_bytes_total", [worker]);
    /// Downloads whose request was made again at once on a new connection: the kept one was closed, or the answer malformed.
    download_repeats: IntCounterVec("xact_download_requests_repeated_total", [reason]);
    /// Attachments whose content is something else than their name or the declared type says: they are stored as what
    /// they are.
    attachment_type_differences: IntCounterVec("xact_attachment_type_differences_total", [named, declared, found]);
    /// Used part of the cache volume, 0 to 1.
    cache_used: GaugeVec("xact_cache_used_ratio", [worker]);
}

impl Metrics {
    /// Removes the gauges of a partition that is assigned to another process: the last value would stay and raise alerts.
    pub fn forget_partition(&self, topic: &str, partition: &str, consumer_group: &str) {
        for gauge in [&self.lag, &self.offset, &self.partition_stuck] {
            // The partition may have none.
            let _ = gauge.remove_label_values(&[topic, partition, consumer_group]);
        }
    }
}

/// Counts a request of `stage` to OneLake and its cost; `target` is `files` or the name of a table.
pub fn count_onelake(stage: Stage, target: &str, operation: Operation, class: BillingClass, micro_cu_seconds: u64) {
    let metrics = metrics();
    metrics.onelake_requests(operation.name(), class.name()).inc();
    metrics
        .onelake_cu_seconds(stage, target)
        .inc_by(cu_seconds(micro_cu_seconds));
}

/// Adds 1 to a gauge until it is dropped, which also happens when the task that owns it is aborted.
pub struct InProgress(IntGauge);

impl InProgress {
    /// Adds 1 to the gauge.
    #[must_use]
    pub fn start(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Value of the label `domain`.
pub const DOMAIN: &str = "xact";

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that dashboards and alerts outside this repository use.
    const PUBLIC: &str = include_str!("../../../tests/metric-names.txt");

    #[test]
    fn names_that_dashboards_use_are_kept() {
        for name in PUBLIC.lines() {
            assert!(NAMES.contains(&name), "{name}");
        }
    }

    /// Registers all metrics, which fails for a name that stands twice.
    #[test]
    fn a_metric_is_rendered_with_its_labels() {
        metrics().produced("t", Status::Success).inc();
        assert!(render().contains("kafka_messages_produced_total{status=\"success\",topic=\"t\"}"));
    }
}
