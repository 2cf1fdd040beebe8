//! Reads [`Settings`] from the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::cluster::{ClusterSettings, Security};
use crate::console::{ConsoleSettings, SignIn};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::process_identity::ProcessIdentity;
use crate::reader::Reader;
use crate::settings::{BatchSettings, DevSettings, Settings};
use crate::variable::Var;
use crate::variables::*;
use xact_contracts::topology::{Groups, Topics};
use xact_identity::IdentitySettings;

mod clusters;
mod otlp;

impl Settings {
    /// Reads and validates all variables.
    ///
    /// # Errors
    /// Every invalid value, each with its variable, the value (hidden if it is secret) and what is allowed.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let settings = settings(&mut reader);
        if reader.errors.is_empty() {
            Ok(settings)
        } else {
            Err(ConfigError(reader.errors))
        }
    }
}

/// Reads all variables. The result is usable only if the reader has no errors.
fn settings(reader: &mut Reader<'_>) -> Settings {
    let topics = topics(reader);
    let dev = dev(reader);
    let (identity, is_valid) = identity(reader);
    let valid_identity = is_valid.then_some(&identity);
    let settings = Settings {
        events_cluster: clusters::events_cluster(reader, valid_identity, &topics.raw),
        internal_cluster: clusters::internal_cluster(reader, valid_identity),
        groups: Groups {
            prefix: reader.get(&KAFKA_CONSUMER_GROUP_PREFIX),
            event_ingester: reader.get(&EVENTHUB_CONSUMER_GROUP),
        },
        offset_reset: reader.get(&EVENTHUB_AUTO_OFFSET_RESET),
        max_retries: reader.get(&MAX_RETRIES),
        onelake_base_path: reader.get(&ONELAKE_BASE_PATH),
        delta_writes: reader.get(&ENABLE_DELTA_WRITES),
        events_table: reader.get(&DELTA_EVENTS_TABLE_PATH),
        attachments_table: reader.get(&DELTA_INVENTORY_TABLE_PATH),
        failed_table: reader.get(&DELTA_FAILED_TABLE_PATH),
        reconciliation_table: reader.get(&DELTA_RECONCILIATION_TABLE_PATH),
        event_batch: batch(reader, &EVENT_BATCH_SIZE, &EVENT_BATCH_SECONDS),
        result_batch: batch(reader, &RESULT_BATCH_SIZE, &RESULT_BATCH_SECONDS),
        download_concurrency: reader.get(&DOWNLOAD_CONCURRENCY),
        upload_concurrency: reader.get(&UPLOAD_CONCURRENCY),
        download_window: reader.get(&DOWNLOAD_BATCH_SIZE),
        upload_window: reader.get(&UPLOAD_BATCH_SIZE),
        cache_dir: reader.get(&CACHE_DIR),
        cache_retention: reader.get(&CACHE_RETENTION_SECONDS),
        allowed_hosts: reader.get(&ALLOWED_ATTACHMENT_DOMAINS),
        ignored_url_paths: reader.get(&IGNORED_URL_PATHS),
        max_file_bytes: reader.get(&MAX_FILE_BYTES),
        audit_log: reader.optional(&AUDIT_LOG_PATH),
        log_level: reader.get(&LOG_LEVEL),
        json_logs: reader.get(&JSON_LOGS),
        metrics_address: metrics_address(reader, dev.as_ref()),
        invoke_token: reader.optional(&INVOKE_TOKEN),
        shutdown_grace: reader.get(&SHUTDOWN_GRACE_SECONDS),
        commit_interval: reader.get(&COMMIT_INTERVAL_MS),
        session_timeout: reader.get(&KAFKA_SESSION_TIMEOUT_MS),
        fetch_wait: reader.get(&KAFKA_FETCH_WAIT_MS),
        trace_url_template: reader.optional(&TRACE_URL_TEMPLATE),
        console: console(reader),
        otlp: otlp::read(reader),
        topics,
        dev,
        identity,
    };
    check_topics_differ(reader, &settings.topics);
    check_ca_file(reader, &settings);
    settings
}

fn console(reader: &mut Reader<'_>) -> ConsoleSettings {
    let settings = ConsoleSettings {
        sign_in: reader.get(&CONSOLE_SIGN_IN),
        tokens: reader.optional(&CONSOLE_TOKENS).unwrap_or_default(),
        url: reader.optional(&CONSOLE_URL),
        handlers: reader.get(&CONSOLE_HANDLERS),
    };
    if settings.sign_in == SignIn::Token && settings.tokens.is_empty() {
        reader.reject(&CONSOLE_SIGN_IN, "needs CONSOLE_TOKENS");
    }
    settings
}

fn topics(reader: &mut Reader<'_>) -> Topics {
    let pending = reader.get(&KAFKA_DOWNLOADS_PENDING_TOPIC);
    Topics {
        raw: reader.get(&EVENTHUB_EVENTS_TOPIC),
        cached: reader.get(&KAFKA_DOWNLOADS_CACHED_TOPIC),
        results: reader.get(&KAFKA_DOWNLOADS_RESULTS_TOPIC),
        dlq: reader.get(&KAFKA_DLQ_TOPIC),
        retries: Topics::retry_topics(&pending, &reader.get(&RETRY_DELAYS)),
        pending,
    }
}

/// Reports a topic with two roles: a stage would read its own output.
fn check_topics_differ(reader: &mut Reader<'_>, topics: &Topics) {
    let mut names: Vec<_> = topics.all().into_iter().map(|(_, name)| name).collect();
    names.sort_unstable();
    // Invalid names are empty, and reported already.
    for pair in names.windows(2) {
        let name = pair[0];
        if name == pair[1] && !name.is_empty() {
            let text = format!("the topic {name:?} is used twice: every topic needs a name of its own");
            reader.errors.push(text);
        }
    }
}

/// Returns the identity, and whether its variables are valid: otherwise the reader has reported them, and the identity is
/// not used.
fn identity(reader: &mut Reader<'_>) -> (ProcessIdentity, bool) {
    let errors = reader.errors.len();
    let identity = ProcessIdentity::new(IdentitySettings {
        tenant: reader.optional(&AZURE_TENANT_ID),
        client: reader.optional(&AZURE_CLIENT_ID),
        secret: reader.optional(&AZURE_CLIENT_SECRET),
        federated_token_file: reader.optional(&AZURE_FEDERATED_TOKEN_FILE),
        authority: reader.optional(&AZURE_AUTHORITY_HOST),
        endpoint: reader.optional(&IDENTITY_ENDPOINT),
        header: reader.optional(&IDENTITY_HEADER),
        path: reader.environment.get("PATH").unwrap_or_default().into(),
        ca_pem: None,
    });
    (identity, reader.errors.len() == errors)
}

fn batch(reader: &mut Reader<'_>, records: &Var<usize>, wait: &Var<Duration>) -> BatchSettings {
    BatchSettings {
        records: reader.get(records),
        wait: reader.get(wait),
    }
}

fn metrics_address(reader: &mut Reader<'_>, dev: Option<&DevSettings>) -> SocketAddr {
    let default = match dev {
        // In development no other machine needs access.
        Some(_) => Ipv4Addr::LOCALHOST,
        None => Ipv4Addr::UNSPECIFIED,
    };
    let address = reader.optional(&METRICS_ADDRESS).unwrap_or(IpAddr::V4(default));
    SocketAddr::new(address, reader.get(&METRICS_PORT))
}

fn dev(reader: &mut Reader<'_>) -> Option<DevSettings> {
    let is_dev = reader.get(&DEV_MODE);
    let resolve = reader.optional(&DEV_RESOLVE);
    let ca_file = reader.optional(&DEV_CA_FILE);
    if is_dev {
        let resolve = resolve.unwrap_or_default();
        return Some(DevSettings { resolve, ca_file });
    }
    let why = "is for development: it needs DEV_MODE=true";
    if resolve.is_some() {
        reader.reject(&DEV_RESOLVE, why);
    }
    if ca_file.is_some() {
        reader.reject(&DEV_CA_FILE, why);
    }
    None
}

/// Reports a file of certificate authorities that cannot be read, if a connection uses TLS. Otherwise `SSL_CERT_FILE` may be
/// set for other programs.
fn check_ca_file(reader: &mut Reader<'_>, settings: &Settings) {
    let is_secured = |cluster: &ClusterSettings| !matches!(cluster.security, Security::Plaintext);
    let mut clusters = settings.events_cluster.iter().chain([&settings.internal_cluster]);
    if (clusters.any(is_secured) || settings.uses_onelake())
        && let Some(file) = settings.ca_file()
        && let Err(error) = std::fs::File::open(file)
    {
        reader.reject(&SSL_CERT_FILE, format_args!("cannot be read: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    pub(super) fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables = variables.iter();
        let environment = variables.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Settings::from_environment(&environment.collect())
    }

    pub(super) fn errors(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_contracts() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.topics, Topics::default());
        assert_eq!(settings.groups, Groups::default());
        assert_eq!(settings.internal_cluster.bootstrap_servers, "localhost:9094");
        assert_eq!(settings.max_file_bytes, 2 * 1024 * 1024 * 1024);
        assert_eq!((settings.download_concurrency, settings.max_retries), (10, 4));
        assert_eq!(settings.allowed_hosts, xact_contracts::url_guard::DEFAULT_ALLOWED_HOSTS);
        assert!(settings.dev.is_none() && settings.events_cluster.is_none());
        assert!(settings.identity_scopes().is_empty(), "a workstation needs no identity");
        assert!(matches!(settings.internal_cluster.security, Security::Plaintext));
    }

    #[test]
    fn all_invalid_values_are_reported_together() {
        let invalid = [
            ("DOWNLOAD_CONCURRENCY", "51", "must be a whole number from 1 to 50"),
            ("UPLOAD_CONCURRENCY", "0", "must be a whole number from 1 to 50"),
            ("RETRY_DELAYS", "60,30", "must be 1 to 10 whole numbers"),
            ("MAX_RETRIES", "-1", "must be a whole number from 0 to 100"),
            ("ENABLE_DELTA_WRITES", "perhaps", "must be true or false"),
            ("KAFKA_DLQ_TOPIC", "a b", "must be a topic name"),
            ("EVENTHUB_AUTO_OFFSET_RESET", "middle", "must be earliest or latest"),
            ("METRICS_PORT", "70000", "must be a whole number from 0 to 65535"),
            ("METRICS_ADDRESS", "everywhere", "must be an IPv4 or IPv6 address"),
            ("LOG_LEVEL", "a=b=c", "must be ERROR, WARN"),
            ("ALLOWED_ATTACHMENT_DOMAINS", "*.example.com", "must be host names"),
            ("RESULT_BATCH_SECONDS", "NaN", "must be 0.01 to 300 seconds"),
            ("COMMIT_INTERVAL_MS", "9", "must be 10 to 60000 milliseconds"),
            ("MAX_FILE_BYTES", "0", "must be a whole number of bytes, at least 1"),
            ("OTEL_METRICS_EXPORTER", "prometheus", "must be otlp or none"),
            (
                "TRACE_URL_TEMPLATE",
                "javascript:{trace_id}",
                "must be an http or https URL with {trace_id}",
            ),
            (
                "OTEL_METRIC_EXPORT_INTERVAL",
                "0",
                "must be 100 to 3600000 milliseconds",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "lowmemory",
                "must be cumulative or delta",
            ),
        ];
        let twice = ("KAFKA_DOWNLOADS_CACHED_TOPIC", "xact.downloads.results");
        let text = errors(&[&invalid.map(|(name, value, _)| (name, value))[..], &[twice]].concat());
        for (name, value, must) in invalid {
            let line = format!("\n  {name}={value:?}: {must}");
            assert!(text.contains(&line), "{line} not in {text}");
        }
        assert!(text.contains("used twice"), "{text}");
    }

    #[test]
    fn the_address_of_a_trace_is_a_url_with_a_place_for_its_id() {
        let template = |text: &str| read(&[("TRACE_URL_TEMPLATE", text)]).map(|settings| settings.trace_url_template);
        let jaeger = "http://localhost:16686/trace/{trace_id}";
        assert_eq!(template(jaeger).unwrap().as_deref(), Some(jaeger));
        assert_eq!(template("").unwrap(), None);
        for bad in ["https://jaeger.example/trace/", "{trace_id}", "file:///{trace_id}"] {
            assert!(template(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_declared_variable_is_read_once() {
        let environment = Environment::default();
        let mut reader = Reader::new(&environment);
        settings(&mut reader);
        let declared: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        let mut read = reader.read;
        for name in &declared {
            assert!(read.remove(name), "{name} is declared twice, or never read");
        }
        assert!(read.is_empty(), "{read:?}");
    }

    #[test]
    fn identity_values_are_valid_or_reported_without_what_may_be_a_secret() {
        let planted = "xyz8Q~planted-secret-of-the-application";
        let text = errors(&[
            ("AZURE_TENANT_ID", planted),
            ("AZURE_CLIENT_ID", planted),
            ("AZURE_CLIENT_SECRET", "planted secret"),
            ("AZURE_AUTHORITY_HOST", planted),
            ("IDENTITY_ENDPOINT", planted),
            ("IDENTITY_HEADER", "planted\nheader"),
        ]);
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(!text.contains("planted"), "{text}");
        assert!(text.contains("AZURE_CLIENT_ID=\"xyz8…\": must be"), "{text}");
        let unset = read(&[("AZURE_CLIENT_SECRET", " "), ("AZURE_CLIENT_ID", "")]);
        assert!(unset.is_ok());
    }

    #[test]
    fn development_variables_need_development_mode() {
        assert!(errors(&[("DEV_RESOLVE", "a=127.0.0.1:1")]).contains("DEV_MODE=true"));
        let entries = "A.example=127.0.0.1:1, b.example=[::1]:443,c.example=attachment-source:8443";
        let settings = read(&[("DEV_MODE", "true"), ("DEV_RESOLVE", entries)]).unwrap();
        let expected = [
            ("a.example", "127.0.0.1:1"),
            ("b.example", "[::1]:443"),
            ("c.example", "attachment-source:8443"),
        ];
        let expected = expected.map(|(host, server)| (host.to_owned(), server.to_owned()));
        assert_eq!(settings.dev.unwrap().resolve, expected);
        for bad in [
            "a.example",
            "a.example=b",
            "a.example=b:0",
            "a.example=https://b:1",
            "a.example=:1",
        ] {
            let text = errors(&[("DEV_MODE", "true"), ("DEV_RESOLVE", bad)]);
            assert!(text.contains("must be host=server:port"), "{bad}: {text}");
        }
    }

    #[test]
    fn a_collector_has_urls_and_headers_that_are_never_shown() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret, x=y");
        let otlp = read(&[endpoint, headers]).unwrap().otlp.unwrap();
        let metrics = otlp.metrics.unwrap().collector;
        let urls = [otlp.traces.url.as_str(), metrics.url.as_str()];
        assert_eq!(
            urls,
            ["http://collector:4318/v1/traces", "http://collector:4318/v1/metrics"]
        );
        let read_headers = metrics
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()));
        let read_headers: Vec<_> = read_headers.collect();
        assert_eq!(read_headers, [("authorization", "Bearer s3cret"), ("x", "y")]);
        for invalid in ["s3cret", "a=s3cret%0A", "a b=s3cret"] {
            let text = errors(&[endpoint, ("OTEL_EXPORTER_OTLP_HEADERS", invalid)]);
            assert!(
                text.contains("OTEL_EXPORTER_OTLP_HEADERS=[hidden]: must be name=value"),
                "{text}"
            );
            assert!(!text.contains("s3cret"), "{text}");
        }
        let none = read(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]).unwrap();
        assert!(none.otlp.unwrap().metrics.is_none());
    }
}
