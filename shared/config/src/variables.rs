//! Every variable, declared once: the source of the settings, of `.env.example` and of what is shown.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use crate::cluster::Protocol;
use crate::console::{self, ConsoleToken, SignIn};
use crate::otlp::Temporality;
use crate::parse;
use crate::settings::OffsetReset;
use crate::variable::{Var, Variable};
use xact_contracts::url_paths::UrlPaths;
use xact_identity::settings as identity;

/// Declares variables: the doc comment is the help text of operators (`{range}` in it is replaced by the range), and the
/// name is that of the constant.
macro_rules! variables {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $kind:ident($($argument:expr),*);)+) => {
        $(pub(crate) const $name: Var<$type> =
            Var::<$type>::$kind(stringify!($name), concat!($($help),+), $($argument),*);)+

        /// All variables, grouped as operators look for them.
        pub const VARIABLES: &[Variable] = &[$($name.variable),+];
    };
}

variables! {
    /// Kafka endpoint of the Event Hubs namespace, host:9093. Empty: the events topic is on the internal cluster, as in
    /// local development.
    EVENTHUB_BOOTSTRAP_SERVERS: String = text("");
    /// Connection string of the namespace or of the events hub; an EntityPath in it must be the topic. Empty: the Azure
    /// identity.
    EVENTHUB_CONNECTION_STRING: SecretString = secret(parse::secret);
    /// Topic of the assignment events.
    EVENTHUB_EVENTS_TOPIC: String = parsed("xact.events.raw", parse::topic);
    /// Consumer group of the event ingester.
    EVENTHUB_CONSUMER_GROUP: String = parsed("xact-event-ingester", parse::topic);
    /// Where a group without a committed position begins: earliest or latest.
    EVENTHUB_AUTO_OFFSET_RESET: OffsetReset = parsed("earliest", parse::offset_reset);
    /// Kafka cluster of the internal topics, host:port, comma-separated. With --dev: unset starts an embedded broker.
    LOCAL_KAFKA_BOOTSTRAP_SERVERS: String = text("localhost:9094");
    /// PLAINTEXT, SSL, or SASL_SSL: Event Hubs, by LOCAL_KAFKA_CONNECTION_STRING, or by the Azure identity if that is
    /// empty.
    LOCAL_KAFKA_SECURITY_PROTOCOL: Protocol = parsed("PLAINTEXT", parse::protocol);
    /// Connection string of the namespace, when the internal topics are on Event Hubs too.
    LOCAL_KAFKA_CONNECTION_STRING: SecretString = secret(parse::secret);
    /// PEM file of the certificate authorities that brokers and servers are checked with. Empty: the system's.
    SSL_CERT_FILE: PathBuf = path("");
    /// Topic of due download tasks; the retry topics are named after it.
    KAFKA_DOWNLOADS_PENDING_TOPIC: String = parsed("xact.downloads.pending", parse::topic);
    /// Topic of files that wait for upload.
    KAFKA_DOWNLOADS_CACHED_TOPIC: String = parsed("xact.downloads.cached", parse::topic);
    /// Topic of results.
    KAFKA_DOWNLOADS_RESULTS_TOPIC: String = parsed("xact.downloads.results", parse::topic);
    /// Topic of dead letters.
    KAFKA_DLQ_TOPIC: String = parsed("xact.downloads.dlq", parse::topic);
    /// Prefix of all other consumer groups.
    KAFKA_CONSUMER_GROUP_PREFIX: String = parsed("xact", parse::topic);
    /// Seconds until each next attempt, comma-separated; one retry topic each.
    RETRY_DELAYS: Vec<Duration> = parsed("300,600,1200,2400", parse::retry_delays);
    /// Attempts after the first, {range}; more attempts than delays use the last delay.
    MAX_RETRIES: u32 = whole("4", 0, 100);
    /// Milliseconds between offset commits, {range}.
    COMMIT_INTERVAL_MS: Duration = milliseconds("1000", 10, 60_000);
    /// Milliseconds after which the group gives a dead process's partitions to others, {range}.
    KAFKA_SESSION_TIMEOUT_MS: Duration = milliseconds("30000", 6_000, 300_000);
    /// Longest wait of the broker for records to send, {range} milliseconds. Records that come end it at once; new
    /// partitions wait for it.
    KAFKA_FETCH_WAIT_MS: Duration = milliseconds("2000", 1, 10_000);
    /// Where files go: abfss://workspace@onelake.dfs.fabric.microsoft.com/item/Files/… or file:///…
    ONELAKE_BASE_PATH: String = text("");
    /// true or false: whether the two writers write their tables.
    ENABLE_DELTA_WRITES: bool = flag("true");
    /// Table xact_events: abfss://…/Tables/xact_events or file:///…
    DELTA_EVENTS_TABLE_PATH: String = text("");
    /// Table xact_attachments.
    DELTA_INVENTORY_TABLE_PATH: String = text("");
    /// Table xact_attachments_failed.
    DELTA_FAILED_TABLE_PATH: String = text("");
    /// Table xact_reconciliation, of reconcile --record alone.
    DELTA_RECONCILIATION_TABLE_PATH: String = text("");
    /// Events per commit of xact_events, {range}.
    EVENT_BATCH_SIZE: usize = whole("2000", 1, 100_000);
    /// Longest wait for a batch of events, {range} seconds.
    EVENT_BATCH_SECONDS: Duration = seconds("5", 0.01, 300.0);
    /// Results per commit, {range}.
    RESULT_BATCH_SIZE: usize = whole("2000", 1, 100_000);
    /// Longest wait for a batch of results, {range} seconds.
    RESULT_BATCH_SECONDS: Duration = seconds("5", 0.01, 300.0);
    /// Tenant of the service principal or workload identity.
    AZURE_TENANT_ID: String = identity(identity::tenant);
    /// Service principal, or client id of the workload identity or user-assigned managed identity.
    AZURE_CLIENT_ID: Uuid = identity(identity::client_id);
    /// Secret of the service principal. The Azure identity is the first that is there: this, a workload identity, a
    /// managed identity, the login of the Azure CLI.
    AZURE_CLIENT_SECRET: SecretString = secret(identity::secret);
    /// Token of the workload identity; Kubernetes sets it.
    AZURE_FEDERATED_TOKEN_FILE: PathBuf = path("");
    /// Where tokens come from. Empty: https://login.microsoftonline.com.
    AZURE_AUTHORITY_HOST: Url = identity(identity::authority);
    /// Where the managed identity's tokens come from; Container Apps sets it.
    IDENTITY_ENDPOINT: Url = identity(identity::endpoint);
    /// Goes with IDENTITY_ENDPOINT; Container Apps sets it.
    IDENTITY_HEADER: SecretString = secret(identity::secret);
    /// Downloads at the same time, {range}.
    DOWNLOAD_CONCURRENCY: usize = whole("10", 1, 50);
    /// Tasks that the download worker holds unfinished, {range}.
    DOWNLOAD_BATCH_SIZE: usize = whole("500", 1, 10_000);
    /// Uploads at the same time, {range}.
    UPLOAD_CONCURRENCY: usize = whole("10", 1, 50);
    /// Messages that the upload worker holds unfinished, {range}.
    UPLOAD_BATCH_SIZE: usize = whole("500", 1, 10_000);
    /// Folder of downloaded files, shared by the download and upload workers.
    CACHE_DIR: PathBuf = path("/tmp/kafka_pipeline_cache");
    /// Seconds after which the upload worker removes cache files that no message waits for, {range}.
    CACHE_RETENTION_SECONDS: Duration = seconds("86400", 10.0, 604_800.0);
    /// Hosts from which attachments may be downloaded, comma-separated, exact.
    ALLOWED_ATTACHMENT_DOMAINS: Vec<String> = parsed(
        "usw2-prod-xn-exportreceiver-publish.s3.us-west-2.amazonaws.com,claimxperience.s3.amazonaws.com,claimxperience.s3.us-east-1.amazonaws.com,www.claimxperience.com,claimxperience.com,xactware-claimx-us-prod.s3.us-west-1.amazonaws.com",
        parse::hosts
    );
    /// JSON paths of events where URLs are known not to be attachments, comma-separated; * at the end: anything, as
    /// $.payload.links*. Other URLs outside the list of attachments are reported.
    IGNORED_URL_PATHS: UrlPaths = parsed("", parse::url_paths);
    /// Largest attachment in bytes.
    MAX_FILE_BYTES: u64 = bytes("2147483648", 1);
    /// File of the dead-letter audit, one JSON object a line. Empty: to the log.
    AUDIT_LOG_PATH: PathBuf = path("");
    /// ERROR, WARN, INFO, DEBUG or TRACE, or a filter as of tracing-subscriber.
    LOG_LEVEL: String = parsed("INFO", parse::log_level);
    /// true: one JSON object a line; false: for people.
    JSON_LOGS: bool = flag("true");
    /// Port of /health, /metrics and /invoke; 0 takes a free one.
    METRICS_PORT: u16 = whole("8000", 0, 65_535);
    /// Address that METRICS_PORT is opened on. Empty: 0.0.0.0, and 127.0.0.1 in development.
    METRICS_ADDRESS: IpAddr = parsed("", parse::address);
    /// Bearer token of POST /invoke; empty: /invoke is off.
    INVOKE_TOKEN: SecretString = secret(parse::secret);
    /// Longest drain after SIGTERM, {range} seconds.
    SHUTDOWN_GRACE_SECONDS: Duration = seconds("25", 1.0, 600.0);
    /// Collector of traces and metrics, by OTLP over HTTP (port 4318), without a path. Empty: no export. Other OTEL_*
    /// variables of the OpenTelemetry SDK, such as OTEL_SERVICE_NAME, apply to traces.
    OTEL_EXPORTER_OTLP_ENDPOINT: String = text("");
    /// URL of the collector for traces, if it is another one.
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: String = text("");
    /// URL of the collector for metrics, if it is another one.
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: String = text("");
    /// Headers of each request to the collector, name=value, comma-separated, values percent-encoded.
    OTEL_EXPORTER_OTLP_HEADERS: Vec<(String, SecretString)> = secret(parse::otlp_headers);
    /// Longest request to the collector, {range} milliseconds.
    OTEL_EXPORTER_OTLP_TIMEOUT: Duration = milliseconds("10000", 100, 60_000);
    /// otlp, or none: metrics are not sent to the collector.
    OTEL_METRICS_EXPORTER: bool = parsed("otlp", parse::metrics_exporter);
    /// Time between two exports of metrics, {range} milliseconds.
    OTEL_METRIC_EXPORT_INTERVAL: Duration = milliseconds("60000", 100, 3_600_000);
    /// cumulative: counters count from the start of the process; delta: from the last export, as Application Insights
    /// expects.
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: Temporality = parsed("cumulative", parse::temporality);
    /// Address of a distributed trace in Jaeger, Tempo or Application Insights, with {trace_id} for the W3C trace id, as
    /// http://localhost:16686/trace/{trace_id}. Empty: the command trace prints the id alone.
    TRACE_URL_TEMPLATE: String = parsed("", parse::trace_url_template);
    /// Sign-in of the console: none, for loopback addresses only; token, by CONSOLE_TOKENS; entra, by the headers that the
    /// sign-in of Azure Container Apps adds. Anybody can send these headers: entra is for that platform only.
    CONSOLE_SIGN_IN: SignIn = parsed("none", console::sign_in);
    /// With CONSOLE_SIGN_IN=token: NAME:ROLE:TOKEN, comma-separated. ROLE is view or operate, TOKEN has at least 32
    /// characters.
    CONSOLE_TOKENS: Vec<ConsoleToken> = secret(console::tokens);
    /// Address that browsers use for the console, as https://console.example. Required unless it listens on a loopback
    /// address.
    CONSOLE_URL: Url = parsed("", console::url);
    /// Addresses of the handlers whose /health/ready the console shows, host:port, comma-separated, as download:8000. Empty: the
    /// process with METRICS_ADDRESS and METRICS_PORT on this machine.
    CONSOLE_HANDLERS: Vec<String> = parsed("", console::handlers);
    /// true or false: allows http://localhost attachments and the two variables below. Never in production.
    DEV_MODE: bool = flag("false");
    /// Development only: hosts answered by a sample server, host=server:port, comma-separated.
    DEV_RESOLVE: Vec<(String, String)> = parsed("", parse::resolve);
    /// Development only: PEM file of the sample server's certificate authority.
    DEV_CA_FILE: PathBuf = path("");
}

/// Returns the text of `.env.example`.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from(
        "# Every variable with its default. Copy to .env and change what you need; the real environment wins.\n",
    );
    for variable in VARIABLES {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n# {}\n#{}={}\n",
            variable.help(),
            variable.name,
            variable.default
        );
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
            "write it again: cargo run -- env-example > .env.example"
        );
    }
}
