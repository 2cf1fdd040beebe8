//! Settings of the export over OTLP. The variables are those of OpenTelemetry:
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::time::Duration;

use secrecy::SecretString;

/// The export of traces and metrics.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// Where traces are sent.
    pub traces: Collector,
    /// Metrics; `None`: they are on `/metrics` only.
    pub metrics: Option<MetricsExport>,
}

/// A collector of one signal, which takes protobuf over HTTP.
#[derive(Debug, Clone)]
pub struct Collector {
    /// URL of the signal, with its path.
    pub url: String,
    /// Headers of every request.
    pub headers: Vec<(String, SecretString)>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`: the longest time that a request may take.
    pub timeout: Duration,
}

/// The export of metrics.
#[derive(Debug, Clone)]
pub struct MetricsExport {
    /// Where they are sent.
    pub collector: Collector,
    /// `OTEL_METRIC_EXPORT_INTERVAL`.
    pub interval: Duration,
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
    pub temporality: Temporality,
}

/// What the value of an exported counter counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Temporality {
    #[default]
    /// All since the process started, as Prometheus expects.
    Cumulative,
    /// What was added since the last export, as Application Insights expects.
    Delta,
}
