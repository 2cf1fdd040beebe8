//! What a process reports about itself: logs, traces, metrics and health.
//!
//! [`init`] sets up logs (JSON lines with the ids of the message at hand) and, when a collector is configured, spans over
//! OTLP. [`metrics`] declares every metric once. [`health`] says what the process waits for, as `/ready` shows it.
//! [`trace_context`] reads and writes the W3C trace headers of records.

pub mod health;
mod json_lines;
mod logs_and_traces;
pub mod metrics;
pub mod trace_context;

pub use logs_and_traces::{TelemetryError, continue_trace, flush, init, is_tracing};
