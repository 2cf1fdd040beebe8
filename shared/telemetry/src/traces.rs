//! Traces: spans over OTLP when a collector is configured.

use std::sync::OnceLock;

use opentelemetry::Key;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use secrecy::ExposeSecret as _;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

use crate::otlp_metrics;
use crate::trace_context::TraceContext;
use xact_config::Collector;

/// <https://opentelemetry.io/docs/specs/semconv/resource/#service>.
const SERVICE_NAME: Key = Key::from_static_str("service.name");

static EXPORTER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The export over OTLP could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("traces and metrics cannot be exported: {0}; check OTEL_EXPORTER_OTLP_ENDPOINT and its family")]
pub struct TelemetryError(pub(crate) String);

/// Creates the exporter, and returns the layer that sends spans to it.
pub(crate) fn layer<S>(collector: &Collector, service: &str) -> Result<OpenTelemetryLayer<S, SdkTracer>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let provider = exporter(collector, service)?;
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("xact-pipeline"));
    let _ = EXPORTER.set(provider);
    Ok(layer)
}

fn exporter(collector: &Collector, service: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let headers = collector.headers.iter();
    // Without these settings the exporter would read the process's environment, which a `.env` file is not part of.
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&collector.url)
        .with_timeout(collector.timeout)
        .with_headers(
            headers
                .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
                .collect(),
        )
        .build()
        .map_err(|error| TelemetryError(error.to_string()))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(service))
        .build())
}

/// Returns the resource with the service name of the OTEL_* variables, which the SDK reads, or else with `service`. Without
/// the variables the SDK makes up a name.
pub(crate) fn resource(service: &str) -> Resource {
    let found = Resource::builder().build();
    let name = found
        .get(&SERVICE_NAME)
        .map(|name| name.to_string())
        .unwrap_or_default();
    if name.is_empty() || name.starts_with("unknown_service") {
        Resource::builder().with_service_name(service.to_owned()).build()
    } else {
        found
    }
}

/// Sends the buffered spans and the last metrics. Blocks until they are sent or refused.
pub fn flush() {
    if let Some(exporter) = EXPORTER.get() {
        let _ = exporter.shutdown();
    }
    otlp_metrics::flush();
}

/// Returns whether spans are exported. If they are not, a batch needs no span for each record.
#[must_use]
pub fn is_tracing() -> bool {
    EXPORTER.get().is_some()
}

/// Returns the trace that `span` begins, for the records that are sent in it. If spans are not exported, any new trace.
#[must_use]
pub fn begin_trace(span: &Span) -> TraceContext {
    let context = span.context();
    let begun = context.span().span_context().clone();
    let (trace, span) = (begun.trace_id().to_bytes(), begun.span_id().to_bytes());
    TraceContext::of_span(u128::from_be_bytes(trace), u64::from_be_bytes(span))
}

/// Adds `span` to the trace of a message, and returns the trace context for the records that it produces.
#[must_use]
pub fn continue_trace(span: &Span, trace: &TraceContext) -> TraceContext {
    if EXPORTER.get().is_none() {
        return trace.child();
    }
    let (trace_id, span_id, flags) = trace.ids();
    let remote = SpanContext::new(
        TraceId::from_bytes(trace_id.to_be_bytes()),
        SpanId::from_bytes(span_id.to_be_bytes()),
        TraceFlags::new(flags),
        true,
        TraceState::default(),
    );
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
    let context = span.context();
    let own = context.span().span_context().span_id();
    trace.with_span(u64::from_be_bytes(own.to_bytes()))
}
