//! Logs: JSON lines with the ids of the current message, or plain lines.

use std::io::IsTerminal;

use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::json_lines::JsonLines;
use crate::otlp_metrics;
use crate::traces::{self, TelemetryError};
use xact_config::Settings;

/// Sets up logs, and the export of traces and metrics if a collector is configured. Call once, before anything is logged.
/// `service` is the service name of the traces, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` set another one.
///
/// # Errors
/// If the exporter of traces cannot be created.
pub fn init(settings: &Settings, service: &str) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if settings.json_logs {
        lines.fmt_fields(JsonFields::new()).event_format(JsonLines).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    std::panic::set_hook(Box::new(log_panic));
    let spans = match &settings.otlp {
        Some(otlp) => Some(traces::layer(&otlp.traces, service)?.with_filter(filter("INFO"))),
        None => None,
    };
    // Fails only if a test has set up its own subscriber.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter(&settings.log_level)))
        .with(spans)
        .try_init();
    // For a record of the `log` crate the filters are asked first. A filter that answers no keeps this answer for the
    // thread, which would suppress the next line of this process. So records below a warning are not asked about.
    log::set_max_level(log::LevelFilter::Warn);
    if let Some(metrics) = settings.otlp.as_ref().and_then(|otlp| otlp.metrics.as_ref()) {
        otlp_metrics::start(metrics, &traces::resource(service)).map_err(|error| TelemetryError(error.to_string()))?;
    }
    Ok(())
}

/// Sets up the export of the traces of a command, if a collector is configured. Nothing is logged, and no metric is exported:
/// a command prints its answer.
///
/// # Errors
/// If the exporter cannot be created.
pub fn init_command(settings: &Settings, service: &str) -> Result<(), TelemetryError> {
    if let Some(otlp) = &settings.otlp {
        let spans = traces::layer(&otlp.traces, service)?.with_filter(filter("INFO"));
        let _ = tracing_subscriber::registry().with(spans).try_init();
    }
    Ok(())
}

/// Logs a panic, with its text redacted: it may hold parts of a message.
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

/// Returns the filter of `LOG_LEVEL`. A level applies to the crates of this workspace only; a filter is used as it is.
fn filter(log_level: &str) -> EnvFilter {
    let directives = match log_level.parse::<tracing::Level>() {
        Ok(level) => OWN_CRATES.iter().fold(OTHER_CRATES.to_owned(), |directives, name| {
            format!("{directives},{name}={level}")
        }),
        Err(_) => log_level.to_owned(),
    };
    // The configuration has validated LOG_LEVEL.
    EnvFilter::try_new(directives).unwrap_or_default()
}

/// Filter of all other targets. The audit is written at every level. Delta logs each commit conflict as a warning, and as an
/// error that it does not retry itself; conflicts are normal between the writers of one table, and the lake returns those
/// that it cannot resolve as its own error.
const OTHER_CRATES: &str = "warn,audit=info,deltalake_core::kernel::transaction=off";

/// Crates of this workspace. A directive applies to every target that begins with its name.
const OWN_CRATES: [&str; 8] = [
    "xact",
    "event_ingester",
    "event_writer",
    "download",
    "upload",
    "result_processor",
    "retry_scheduler",
    "dlq",
];
