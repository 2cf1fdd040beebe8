//! Headings for the variables, which are declared in the order in which operators look for them.

/// The first variable of each group, and its heading.
pub(crate) const GROUPS: [(&str, &str); 10] = [
    ("EVENTHUB_BOOTSTRAP_SERVERS", "Events"),
    ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", "Internal topics"),
    ("RETRY_DELAYS", "Retries and consumers"),
    ("ONELAKE_BASE_PATH", "Files and tables"),
    ("AZURE_TENANT_ID", "Azure identity"),
    ("DOWNLOAD_CONCURRENCY", "Downloads and uploads"),
    ("AUDIT_LOG_PATH", "Process, logs and health"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "Telemetry"),
    ("CONSOLE_SIGN_IN", "Console"),
    ("DEV_MODE", "Development"),
];

/// Returns the heading of the group that begins with a variable.
pub(crate) fn group_from(variable: &str) -> Option<&'static str> {
    let mut groups = GROUPS.iter();
    groups.find(|(first, _)| *first == variable).map(|(_, group)| *group)
}
