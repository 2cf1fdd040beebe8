//! Logs and traces: JSON lines with the ids of the message at hand, and spans over OTLP when a collector is named.

use std::io::IsTerminal;
use std::sync::OnceLock;

use opentelemetry::Key;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::json_lines::JsonLines;
use crate::trace_context::TraceContext;
use xact_config::Settings;

/// <https://opentelemetry.io/docs/specs/semconv/resource/#service>.
const SERVICE_NAME: Key = Key::from_static_str("service.name");

static EXPORTER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Logs or traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter refused its settings.
    #[error("traces cannot be exported: {0}; check OTEL_EXPORTER_OTLP_ENDPOINT and its family")]
    Exporter(String),
}

/// Sets up logs, and traces if a collector is named. Call once, before anything else logs. `service` is what traces call the
/// process, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say otherwise.
///
/// # Errors
/// When the exporter cannot be made.
pub fn init(settings: &Settings, service: &str) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if settings.json_logs {
        lines.fmt_fields(JsonFields::new()).event_format(JsonLines).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    std::panic::set_hook(Box::new(log_panic));
    let spans = match &settings.otlp_endpoint {
        Some(_) => {
            let provider = exporter(service)?;
            let layer = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("xact-pipeline"))
                .with_filter(filter("INFO"));
            let _ = EXPORTER.set(provider);
            Some(layer)
        }
        None => None,
    };
    // Fails only when a test has set up its own.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter(&settings.log_level)))
        .with(spans)
        .try_init();
    // What libraries say through `log` is asked about first, and the answer no stays behind in the thread: it would take our
    // own next line with it. So what is below a warning does not even ask.
    log::set_max_level(log::LevelFilter::Warn);
    Ok(())
}

/// A panic as a log line like any other: its text may hold what the message held.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        place,
        panic = xact_contracts::redaction::redact_text(text),
        backtrace = %std::backtrace::Backtrace::capture(),
        "panic"
    );
}

/// A level alone is for our own crates: libraries log for their developers. A filter is taken as it is.
fn filter(log_level: &str) -> EnvFilter {
    let directives = match log_level.parse::<tracing::Level>() {
        Ok(level) => OURS.iter().fold(OTHERS.to_owned(), |directives, name| {
            format!("{directives},{name}={level}")
        }),
        Err(_) => log_level.to_owned(),
    };
    // LOG_LEVEL was checked with the configuration.
    EnvFilter::try_new(directives).unwrap_or_default()
}

/// All others. The audit is no chatter: it is written whatever the level. That another writer was faster is daily
/// business between writers of one table: Delta warns of each time and calls it an error that it was told not to try again
/// by itself. What the lake cannot solve, it tells as its own error.
const OTHERS: &str = "warn,audit=info,deltalake_core::kernel::transaction=off";

/// Crates of this workspace: a directive applies to every target that begins with its name.
const OURS: [&str; 8] = [
    "xact",
    "event_ingester",
    "event_writer",
    "download",
    "upload",
    "result_processor",
    "retry_scheduler",
    "dlq",
];

fn exporter(service: &str) -> Result<SdkTracerProvider, TelemetryError> {
    // The exporter reads endpoint, headers, time-out and protocol from the OTEL_* variables itself.
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(service))
        .build())
}

/// Named as the environment says, which the SDK has read. Where it says nothing, the SDK has made up a name.
fn resource(service: &str) -> Resource {
    let found = Resource::builder().build();
    let name = found
        .get(&SERVICE_NAME)
        .map(|name| name.to_string())
        .unwrap_or_default();
    match name.is_empty() || name.starts_with("unknown_service") {
        true => Resource::builder().with_service_name(service.to_owned()).build(),
        false => found,
    }
}

/// Sends the spans that still wait. Blocks for a moment.
pub fn flush() {
    if let Some(exporter) = EXPORTER.get() {
        let _ = exporter.shutdown();
    }
}

/// Whether spans are exported: where they are not, none need be made for each record of a batch.
#[must_use]
pub fn is_tracing() -> bool {
    EXPORTER.get().is_some()
}

/// Makes `span` a part of the message's trace, and returns the context for what it produces.
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
