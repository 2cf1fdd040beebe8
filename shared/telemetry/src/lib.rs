//! Logs, traces, metrics and health of a process.
//!
//! [`init`] sets up logs (JSON lines with the ids of the current message) and, if a collector is configured, traces over
//! OTLP. [`metrics`] declares every metric once. [`health`] holds what the process waits for, as `/health/ready` shows it.
//! [`trace_context`] parses and writes the W3C trace headers of records.

pub mod health;
mod json_lines;
mod logs;
pub mod metrics;
mod otlp_metrics;
pub mod trace_context;
mod traces;

pub use logs::{init, init_command};
pub use traces::{TelemetryError, begin_trace, continue_trace, flush, is_tracing};
