//! Every variable with its default: the source of `.env.example` and of the start-up print.

use std::fmt::Write;

/// One environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not set; empty means none.
    pub default: &'static str,
    /// What it does and what is allowed.
    pub help: &'static str,
    /// Never printed.
    pub secret: bool,
}

const fn var(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable {
        name,
        default,
        help,
        secret: false,
    }
}

const fn secret(name: &'static str, help: &'static str) -> Variable {
    Variable {
        name,
        default: "",
        help,
        secret: true,
    }
}

/// All variables, grouped as operators look for them.
pub const VARIABLES: &[Variable] = &[
    var(
        "EVENTHUB_BOOTSTRAP_SERVERS",
        "",
        "Kafka endpoint of the Event Hubs namespace, host:9093. Empty: the events topic is on the internal cluster, as in local development.",
    ),
    secret(
        "EVENTHUB_CONNECTION_STRING",
        "Connection string of the namespace or of the events hub; an EntityPath in it must be the topic. Empty: the Azure identity.",
    ),
    var(
        "EVENTHUB_EVENTS_TOPIC",
        "xact.events.raw",
        "Topic of the assignment events.",
    ),
    var(
        "EVENTHUB_CONSUMER_GROUP",
        "xact-event-ingester",
        "Consumer group of the event ingester.",
    ),
    var(
        "EVENTHUB_AUTO_OFFSET_RESET",
        "earliest",
        "Where a group without a committed position begins: earliest or latest.",
    ),
    var(
        "LOCAL_KAFKA_BOOTSTRAP_SERVERS",
        "localhost:9094",
        "Kafka cluster of the internal topics, host:port, comma-separated. With --dev: unset starts an embedded broker.",
    ),
    var(
        "LOCAL_KAFKA_SECURITY_PROTOCOL",
        "PLAINTEXT",
        "PLAINTEXT, SSL, or SASL_SSL: Event Hubs, by LOCAL_KAFKA_CONNECTION_STRING, or by the Azure identity if that is empty.",
    ),
    secret(
        "LOCAL_KAFKA_CONNECTION_STRING",
        "Connection string of the namespace, when the internal topics are on Event Hubs too.",
    ),
    var(
        "SSL_CERT_FILE",
        "",
        "PEM file of the certificate authorities that brokers and servers are checked with. Empty: the system's.",
    ),
    var(
        "KAFKA_DOWNLOADS_PENDING_TOPIC",
        "xact.downloads.pending",
        "Topic of due download tasks; the retry topics are named after it.",
    ),
    var(
        "KAFKA_DOWNLOADS_CACHED_TOPIC",
        "xact.downloads.cached",
        "Topic of files that wait for upload.",
    ),
    var(
        "KAFKA_DOWNLOADS_RESULTS_TOPIC",
        "xact.downloads.results",
        "Topic of results.",
    ),
    var("KAFKA_DLQ_TOPIC", "xact.downloads.dlq", "Topic of dead letters."),
    var(
        "KAFKA_CONSUMER_GROUP_PREFIX",
        "xact",
        "Prefix of all other consumer groups.",
    ),
    var(
        "RETRY_DELAYS",
        "300,600,1200,2400",
        "Seconds until each next attempt, comma-separated; one retry topic each.",
    ),
    var(
        "MAX_RETRIES",
        "4",
        "Attempts after the first, 0 to 100; more attempts than delays use the last delay.",
    ),
    var(
        "COMMIT_INTERVAL_MS",
        "1000",
        "Milliseconds between offset commits, 10 to 60000.",
    ),
    var(
        "KAFKA_SESSION_TIMEOUT_MS",
        "30000",
        "Milliseconds after which the group gives a dead process's partitions to others, 6000 to 300000.",
    ),
    var(
        "KAFKA_FETCH_WAIT_MS",
        "2000",
        "Longest wait of the broker for records to send, 1 to 10000 milliseconds. Records that come end it at once; new partitions wait for it.",
    ),
    var(
        "ONELAKE_BASE_PATH",
        "",
        "Where files go: abfss://workspace@onelake.dfs.fabric.microsoft.com/item/Files/… or file:///…",
    ),
    var(
        "ENABLE_DELTA_WRITES",
        "true",
        "true or false: whether the two writers write their tables.",
    ),
    var(
        "DELTA_EVENTS_TABLE_PATH",
        "",
        "Table xact_events: abfss://…/Tables/xact_events or file:///…",
    ),
    var("DELTA_INVENTORY_TABLE_PATH", "", "Table xact_attachments."),
    var("DELTA_FAILED_TABLE_PATH", "", "Table xact_attachments_failed."),
    var(
        "EVENT_BATCH_SIZE",
        "2000",
        "Events per commit of xact_events, 1 to 100000.",
    ),
    var(
        "EVENT_BATCH_SECONDS",
        "5",
        "Longest wait for a batch of events, 0.01 to 300 seconds.",
    ),
    var("RESULT_BATCH_SIZE", "2000", "Results per commit, 1 to 100000."),
    var(
        "RESULT_BATCH_SECONDS",
        "5",
        "Longest wait for a batch of results, 0.01 to 300 seconds.",
    ),
    var(
        "AZURE_TENANT_ID",
        "",
        "Tenant of the service principal or workload identity.",
    ),
    var(
        "AZURE_CLIENT_ID",
        "",
        "Service principal, or client id of the workload identity or user-assigned managed identity.",
    ),
    secret(
        "AZURE_CLIENT_SECRET",
        "Secret of the service principal. The Azure identity is the first that is there: this, a workload identity, a managed identity, the login of the Azure CLI.",
    ),
    var(
        "AZURE_FEDERATED_TOKEN_FILE",
        "",
        "Token of the workload identity; Kubernetes sets it.",
    ),
    var(
        "AZURE_AUTHORITY_HOST",
        "",
        "Where tokens come from. Empty: https://login.microsoftonline.com.",
    ),
    var(
        "IDENTITY_ENDPOINT",
        "",
        "Where the managed identity's tokens come from; Container Apps sets it.",
    ),
    secret(
        "IDENTITY_HEADER",
        "Goes with IDENTITY_ENDPOINT; Container Apps sets it.",
    ),
    var("DOWNLOAD_CONCURRENCY", "10", "Downloads at the same time, 1 to 50."),
    var(
        "DOWNLOAD_BATCH_SIZE",
        "500",
        "Tasks that the download worker holds unfinished, 1 to 10000.",
    ),
    var("UPLOAD_CONCURRENCY", "10", "Uploads at the same time, 1 to 50."),
    var(
        "UPLOAD_BATCH_SIZE",
        "500",
        "Messages that the upload worker holds unfinished, 1 to 10000.",
    ),
    var(
        "CACHE_DIR",
        "/tmp/kafka_pipeline_cache",
        "Folder of downloaded files, shared by the download and upload workers.",
    ),
    var(
        "CACHE_RETENTION_SECONDS",
        "86400",
        "Seconds after which the upload worker removes cache files that no message waits for, 10 to 604800.",
    ),
    var(
        "ALLOWED_ATTACHMENT_DOMAINS",
        "usw2-prod-xn-exportreceiver-publish.s3.us-west-2.amazonaws.com,claimxperience.s3.amazonaws.com,claimxperience.s3.us-east-1.amazonaws.com,www.claimxperience.com,claimxperience.com,xactware-claimx-us-prod.s3.us-west-1.amazonaws.com",
        "Hosts from which attachments may be downloaded, comma-separated, exact.",
    ),
    var(
        "IGNORED_URL_PATHS",
        "",
        "JSON paths of events where URLs are known not to be attachments, comma-separated; * at the end: anything, as $.payload.links*. Other URLs outside the list of attachments are reported.",
    ),
    var("MAX_FILE_BYTES", "2147483648", "Largest attachment in bytes."),
    var(
        "AUDIT_LOG_PATH",
        "",
        "File of the dead-letter audit, one JSON object a line. Empty: to the log.",
    ),
    var(
        "LOG_LEVEL",
        "INFO",
        "ERROR, WARN, INFO, DEBUG or TRACE, or a filter as of tracing-subscriber.",
    ),
    var("JSON_LOGS", "true", "true: one JSON object a line; false: for people."),
    var(
        "METRICS_PORT",
        "8000",
        "Port of /health, /metrics and /invoke; 0 takes a free one.",
    ),
    var(
        "METRICS_ADDRESS",
        "",
        "Address that METRICS_PORT is opened on. Empty: 0.0.0.0, and 127.0.0.1 in development.",
    ),
    secret("INVOKE_TOKEN", "Bearer token of POST /invoke; empty: /invoke is off."),
    var(
        "SHUTDOWN_GRACE_SECONDS",
        "25",
        "Longest drain after SIGTERM, 1 to 600 seconds.",
    ),
    var(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "OTLP/HTTP collector for traces; the other OTEL_* variables are honoured. Empty: no export.",
    ),
    var(
        "DEV_MODE",
        "false",
        "true or false: allows http://localhost attachments and the two variables below. Never in production.",
    ),
    var(
        "DEV_RESOLVE",
        "",
        "Development only: hosts answered by a sample server, host=server:port, comma-separated.",
    ),
    var(
        "DEV_CA_FILE",
        "",
        "Development only: PEM file of the sample server's certificate authority.",
    ),
];

/// The text of `.env.example`.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from(
        "# Every variable with its default. Copy to .env and change what you need; the real environment wins.\n",
    );
    for variable in VARIABLES {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {}\n#{}={}\n", variable.help, variable.name, variable.default);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_lists_every_variable() {
        let file = include_str!("../../../.env.example");
        assert_eq!(
            file,
            env_example(),
            "write it anew: cargo run -- env-example > .env.example"
        );
    }

    #[test]
    fn every_variable_of_the_identity_is_listed() {
        let names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        for name in xact_identity::VARIABLES {
            assert!(name == "PATH" || names.contains(&name), "{name}");
        }
    }
}
