//! The handlers as separate processes: their names and their common environment.

use crate::samples::{HOSTS, SampleServer};
use crate::secrets::PLANTED;
use crate::{Variables, WorkDir, variables};

/// Each handler with its consumer group and the partitions that the group reads (`shared/contracts/SPECIFICATION.md`, "Topology").
pub const STAGES: [(&str, &str, u32); 7] = [
    ("event-ingester", "xact-event-ingester", 6),
    ("event-writer", "xact-event-writer", 6),
    ("download", "xact-download-worker", 6),
    ("upload", "xact-upload-worker", 6),
    ("result-processor", "xact-result-processor", 6),
    ("retry-scheduler", "xact-retry-scheduler", 12),
    ("dlq", "xact-dlq-handler", 3),
];

/// Returns the names of all handlers.
pub fn names() -> [&'static str; 7] {
    STAGES.map(|(name, _, _)| name)
}

/// Every topic with its partitions, for the delays of [`environment`].
pub const TOPICS: [(&str, u32); 9] = [
    ("xact.events.raw", 6),
    ("xact.downloads.pending", 6),
    ("xact.downloads.cached", 6),
    ("xact.downloads.results", 6),
    ("xact.downloads.dlq", 3),
    ("xact.downloads.pending.retry.1s", 3),
    ("xact.downloads.pending.retry.2s", 3),
    ("xact.downloads.pending.retry.4s", 3),
    ("xact.downloads.pending.retry.8s", 3),
];

/// Returns the common environment of the handlers: broker, sample server, cache, lake, and delays that are short enough for a
/// test.
pub fn environment(broker: &str, samples: &SampleServer, dir: &WorkDir) -> Variables {
    let place = |name: &str| dir.join(name).display().to_string();
    let url = |name: &str| format!("file://{}", place(name));
    let resolve: Vec<String> = HOSTS.iter().map(|host| format!("{host}={}", samples.https)).collect();
    variables(&[
        ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker.to_owned()),
        ("DEV_MODE", "true".to_owned()),
        ("DEV_RESOLVE", resolve.join(",")),
        ("DEV_CA_FILE", samples.ca_file.clone()),
        ("CACHE_DIR", place("cache")),
        ("ONELAKE_BASE_PATH", url("files")),
        ("DELTA_EVENTS_TABLE_PATH", url("tables/xact_events")),
        ("DELTA_INVENTORY_TABLE_PATH", url("tables/xact_attachments")),
        ("DELTA_FAILED_TABLE_PATH", url("tables/xact_attachments_failed")),
        ("DELTA_RECONCILIATION_TABLE_PATH", url("tables/xact_reconciliation")),
        ("AUDIT_LOG_PATH", place("audit.jsonl")),
        ("RETRY_DELAYS", "1,2,4,8".to_owned()),
        ("EVENT_BATCH_SECONDS", "0.5".to_owned()),
        ("RESULT_BATCH_SECONDS", "0.5".to_owned()),
        ("COMMIT_INTERVAL_MS", "200".to_owned()),
        ("KAFKA_SESSION_TIMEOUT_MS", "6000".to_owned()),
        // All optional features that an operator can enable.
        ("LOG_LEVEL", "DEBUG".to_owned()),
        ("AZURE_CLIENT_SECRET", format!("{PLANTED}-client-secret")),
    ])
}
