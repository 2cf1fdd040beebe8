//! Reads the settings of the export over OTLP.

use crate::otlp::{Collector, MetricsExport, OtlpSettings};
use crate::reader::Reader;
use crate::variables::*;

/// Returns the settings, or `None` if no collector is configured.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<OtlpSettings> {
    let traces_url = reader.optional(&OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
    let metrics_url = reader.optional(&OTEL_EXPORTER_OTLP_METRICS_ENDPOINT);
    let is_exported = reader.get(&OTEL_METRICS_EXPORTER);
    let interval = reader.get(&OTEL_METRIC_EXPORT_INTERVAL);
    let temporality = reader.get(&OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE);
    let headers = reader.get(&OTEL_EXPORTER_OTLP_HEADERS);
    let timeout = reader.get(&OTEL_EXPORTER_OTLP_TIMEOUT);
    let endpoint: String = reader.optional(&OTEL_EXPORTER_OTLP_ENDPOINT)?;
    let collector = |signal: &str, url: Option<String>| Collector {
        url: url.unwrap_or_else(|| format!("{}/v1/{signal}", endpoint.trim_end_matches('/'))),
        headers: headers.clone(),
        timeout,
    };
    Some(OtlpSettings {
        traces: collector("traces", traces_url),
        metrics: is_exported.then(|| MetricsExport {
            collector: collector("metrics", metrics_url),
            interval,
            temporality,
        }),
    })
}
