//! From variables to [`Settings`]: every bad value is collected, none stops the reading of the others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::clusters::clusters;
use crate::process_identity::LazyIdentity;
use crate::reader::Reader;
use crate::{BatchSettings, ClusterSettings, ConfigError, DevSettings, Environment, OffsetReset, Security, Settings};
use xact_contracts::topology::{Groups, Topics};
use xact_contracts::url_paths::UrlPaths;

pub(super) fn settings(environment: &Environment) -> Result<Settings, ConfigError> {
    let mut reader = Reader {
        environment,
        errors: Vec::new(),
    };
    let topics = topics(&mut reader);
    let dev = dev(&mut reader);
    let identity = LazyIdentity::read(&mut reader);
    let (events_cluster, internal_cluster) = clusters(&mut reader, &identity, &topics.raw);
    let settings = Settings {
        events_cluster,
        internal_cluster,
        groups: Groups {
            prefix: reader.topic("KAFKA_CONSUMER_GROUP_PREFIX"),
            event_ingester: reader.topic("EVENTHUB_CONSUMER_GROUP"),
        },
        offset_reset: match reader.text("EVENTHUB_AUTO_OFFSET_RESET").to_ascii_lowercase().as_str() {
            "latest" => OffsetReset::Latest,
            "earliest" => OffsetReset::Earliest,
            _ => {
                reader.reject("EVENTHUB_AUTO_OFFSET_RESET", "must be earliest or latest");
                OffsetReset::Earliest
            }
        },
        max_retries: reader
            .parsed("MAX_RETRIES", "a whole number from 0 to 100", |count| *count <= 100)
            .unwrap_or(0),
        onelake_base_path: reader.text("ONELAKE_BASE_PATH"),
        delta_writes: reader.flag("ENABLE_DELTA_WRITES"),
        events_table: reader.text("DELTA_EVENTS_TABLE_PATH"),
        attachments_table: reader.text("DELTA_INVENTORY_TABLE_PATH"),
        failed_table: reader.text("DELTA_FAILED_TABLE_PATH"),
        event_batch: batch(&mut reader, "EVENT_BATCH_SIZE", "EVENT_BATCH_SECONDS"),
        result_batch: batch(&mut reader, "RESULT_BATCH_SIZE", "RESULT_BATCH_SECONDS"),
        download_concurrency: reader.count("DOWNLOAD_CONCURRENCY", 50),
        upload_concurrency: reader.count("UPLOAD_CONCURRENCY", 50),
        download_window: reader.count("DOWNLOAD_BATCH_SIZE", 10_000),
        upload_window: reader.count("UPLOAD_BATCH_SIZE", 10_000),
        cache_dir: PathBuf::from(reader.text("CACHE_DIR")),
        cache_retention: reader.seconds("CACHE_RETENTION_SECONDS", "10 to 604800 seconds", 10.0, 604_800.0),
        allowed_hosts: allowed_hosts(&mut reader),
        ignored_url_paths: ignored_url_paths(&mut reader),
        max_file_bytes: reader
            .parsed("MAX_FILE_BYTES", "a whole number of bytes, at least 1", |bytes| {
                *bytes >= 1
            })
            .unwrap_or(1),
        audit_log: reader.optional("AUDIT_LOG_PATH").map(PathBuf::from),
        log_level: log_level(&mut reader),
        json_logs: reader.flag("JSON_LOGS"),
        metrics_address: metrics_address(&mut reader, dev.is_some()),
        invoke_token: reader.secret("INVOKE_TOKEN"),
        shutdown_grace: reader.seconds("SHUTDOWN_GRACE_SECONDS", "1 to 600 seconds", 1.0, 600.0),
        commit_interval: reader.millis("COMMIT_INTERVAL_MS", 10, 60_000),
        session_timeout: reader.millis("KAFKA_SESSION_TIMEOUT_MS", 6_000, 300_000),
        fetch_wait: reader.millis("KAFKA_FETCH_WAIT_MS", 1, 10_000),
        otlp_endpoint: reader.optional("OTEL_EXPORTER_OTLP_ENDPOINT"),
        topics,
        dev,
        identity,
    };
    distinct_topics(&mut reader, &settings.topics);
    readable_authorities(&mut reader, &settings);
    if reader.errors.is_empty() {
        Ok(settings)
    } else {
        Err(ConfigError(reader.errors))
    }
}

/// `SSL_CERT_FILE` may be set for others on the machine: it matters where we speak TLS.
fn readable_authorities(reader: &mut Reader<'_>, settings: &Settings) {
    let is_secured = |cluster: &ClusterSettings| !matches!(cluster.security, Security::Plaintext);
    let mut clusters = settings.events_cluster.iter().chain([&settings.internal_cluster]);
    if (clusters.any(is_secured) || settings.uses_one_lake())
        && let Some(file) = settings.ca_file()
        && let Err(error) = std::fs::File::open(file)
    {
        reader.reject("SSL_CERT_FILE", format_args!("cannot be read: {error}"));
    }
}

fn metrics_address(reader: &mut Reader<'_>, dev: bool) -> SocketAddr {
    let port = reader.parsed("METRICS_PORT", "a port from 0 to 65535", |_| true);
    // In development nobody else on the network needs to see it.
    let default = if dev {
        Ipv4Addr::LOCALHOST
    } else {
        Ipv4Addr::UNSPECIFIED
    };
    let address = match reader.optional("METRICS_ADDRESS") {
        None => Some(IpAddr::V4(default)),
        Some(_) => reader.parsed("METRICS_ADDRESS", "an IPv4 or IPv6 address, or empty", |_| true),
    };
    SocketAddr::new(address.unwrap_or(IpAddr::V4(default)), port.unwrap_or(0))
}

fn topics(reader: &mut Reader<'_>) -> Topics {
    let pending = reader.topic("KAFKA_DOWNLOADS_PENDING_TOPIC");
    let delays: Option<Vec<Duration>> = reader
        .text("RETRY_DELAYS")
        .split(',')
        .map(|part| {
            let seconds = part.trim().parse::<u64>().ok()?;
            (seconds <= 30 * 24 * 3600).then(|| Duration::from_secs(seconds))
        })
        .collect();
    let mut retries = Topics::retry_topics(&pending, &delays.clone().unwrap_or_default());
    let count = retries.len();
    retries.dedup_by(|later, earlier| later.name == earlier.name);
    let ascending = retries.is_sorted_by(|first, second| first.delay < second.delay);
    if delays.is_none() || retries.len() != count || !ascending || count > 10 {
        reader.reject(
            "RETRY_DELAYS",
            "must be 1 to 10 whole numbers of seconds in rising order, comma-separated, each at most 30 days",
        );
    }
    Topics {
        raw: reader.topic("EVENTHUB_EVENTS_TOPIC"),
        cached: reader.topic("KAFKA_DOWNLOADS_CACHED_TOPIC"),
        results: reader.topic("KAFKA_DOWNLOADS_RESULTS_TOPIC"),
        dlq: reader.topic("KAFKA_DLQ_TOPIC"),
        pending,
        retries,
    }
}

/// Two roles on one topic would feed a stage with its own output.
fn distinct_topics(reader: &mut Reader<'_>, topics: &Topics) {
    let mut names: Vec<_> = topics.all().into_iter().map(|(_, name)| name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if pair[0] == pair[1] {
            reader.errors.push(format!(
                "the topic {:?} is used twice: every topic needs a name of its own",
                pair[0]
            ));
        }
    }
}

fn batch(reader: &mut Reader<'_>, size: &str, seconds: &str) -> BatchSettings {
    BatchSettings {
        records: reader.count(size, 100_000),
        wait: reader.seconds(seconds, "0.01 to 300 seconds", 0.01, 300.0),
    }
}

fn allowed_hosts(reader: &mut Reader<'_>) -> Vec<String> {
    let hosts: Vec<String> = reader
        .text("ALLOWED_ATTACHMENT_DOMAINS")
        .split(',')
        .map(|host| host.trim().to_ascii_lowercase())
        .filter(|host| !host.is_empty())
        .collect();
    let fits = |host: &String| {
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    if hosts.is_empty() || !hosts.iter().all(fits) {
        reader.reject(
            "ALLOWED_ATTACHMENT_DOMAINS",
            "must be host names, comma-separated, without scheme, port, path or wildcard",
        );
    }
    hosts
}

fn ignored_url_paths(reader: &mut Reader<'_>) -> UrlPaths {
    UrlPaths::parse(&reader.text("IGNORED_URL_PATHS")).unwrap_or_else(|entry| {
        let text = format!("{entry:?} is no JSON path: paths begin with $. as in $.payload.links.self");
        reader.reject("IGNORED_URL_PATHS", text);
        UrlPaths::default()
    })
}

fn log_level(reader: &mut Reader<'_>) -> String {
    let level = reader.text("LOG_LEVEL");
    if tracing_subscriber::EnvFilter::builder().parse(&level).is_err() {
        reader.reject(
            "LOG_LEVEL",
            "must be ERROR, WARN, INFO, DEBUG, TRACE, or a filter such as info,download=debug",
        );
    }
    level
}

fn dev(reader: &mut Reader<'_>) -> Option<DevSettings> {
    let dev_mode = reader.flag("DEV_MODE");
    let ca_file = reader.optional("DEV_CA_FILE").map(PathBuf::from);
    let mut resolve = Vec::new();
    for entry in reader
        .text("DEV_RESOLVE")
        .split(',')
        .filter(|entry| !entry.trim().is_empty())
    {
        let parsed = entry
            .trim()
            .split_once('=')
            .filter(|(_, server)| is_server(server))
            .map(|(host, server)| (host.to_ascii_lowercase(), server.to_owned()));
        match parsed {
            Some(entry) => resolve.push(entry),
            None => reader.reject("DEV_RESOLVE", "must be host=server:port, comma-separated"),
        }
    }
    if !dev_mode {
        for (name, is_set) in [("DEV_RESOLVE", !resolve.is_empty()), ("DEV_CA_FILE", ca_file.is_some())] {
            if is_set {
                reader.reject(name, "is for development: it needs DEV_MODE=true");
            }
        }
        return None;
    }
    Some(DevSettings { resolve, ca_file })
}

/// `address:port` or `name:port`; names are looked up when they are needed.
fn is_server(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    let is_named = text
        .rsplit_once(':')
        .is_some_and(|(name, port)| is_name(name) && port.parse::<u16>().is_ok_and(|port| port != 0));
    is_named || text.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let environment = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        settings(&environment)
    }

    fn errors(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.topics, Topics::default());
        assert_eq!(settings.groups, Groups::default());
        assert_eq!(settings.internal_cluster.bootstrap_servers, "localhost:9094");
        assert_eq!(settings.max_file_bytes, 2 * 1024 * 1024 * 1024);
        assert_eq!((settings.download_concurrency, settings.max_retries), (10, 4));
        assert_eq!(settings.allowed_hosts, xact_contracts::url_guard::DEFAULT_ALLOWED_HOSTS);
        assert!(settings.dev.is_none() && settings.events_cluster.is_none());
    }

    #[test]
    fn all_bad_values_are_told_at_once() {
        let text = errors(&[
            ("DOWNLOAD_CONCURRENCY", "51"),
            ("UPLOAD_CONCURRENCY", "0"),
            ("RETRY_DELAYS", "60,30"),
            ("MAX_RETRIES", "-1"),
            ("ENABLE_DELTA_WRITES", "perhaps"),
            ("KAFKA_DLQ_TOPIC", "a b"),
            ("EVENTHUB_AUTO_OFFSET_RESET", "middle"),
            ("METRICS_PORT", "70000"),
            ("METRICS_ADDRESS", "everywhere"),
            ("LOG_LEVEL", "a=b=c"),
            ("ALLOWED_ATTACHMENT_DOMAINS", "*.example.com"),
            ("RESULT_BATCH_SECONDS", "NaN"),
            ("KAFKA_DOWNLOADS_CACHED_TOPIC", "xact.downloads.results"),
        ]);
        for part in [
            "DOWNLOAD_CONCURRENCY=\"51\": must be a whole number from 1 to 50",
            "UPLOAD_CONCURRENCY",
            "RETRY_DELAYS",
            "MAX_RETRIES",
            "ENABLE_DELTA_WRITES=\"perhaps\": must be true or false",
            "KAFKA_DLQ_TOPIC",
            "EVENTHUB_AUTO_OFFSET_RESET",
            "METRICS_PORT",
            "METRICS_ADDRESS",
            "LOG_LEVEL",
            "ALLOWED_ATTACHMENT_DOMAINS",
            "RESULT_BATCH_SECONDS",
            "used twice",
        ] {
            assert!(text.contains(part), "{part} not in {text}");
        }
    }

    #[test]
    fn development_variables_need_development_mode() {
        assert!(errors(&[("DEV_RESOLVE", "a=127.0.0.1:1")]).contains("DEV_MODE=true"));
        let entries = "A.example=127.0.0.1:1, b.example=[::1]:443,c.example=attachment-source:8443";
        let dev = read(&[("DEV_MODE", "true"), ("DEV_RESOLVE", entries)])
            .unwrap()
            .dev
            .unwrap();
        let [a, b, c] = &dev.resolve[..] else { panic!("{dev:?}") };
        assert_eq!(*a, ("a.example".to_owned(), "127.0.0.1:1".to_owned()));
        assert_eq!(*b, ("b.example".to_owned(), "[::1]:443".to_owned()));
        assert_eq!(*c, ("c.example".to_owned(), "attachment-source:8443".to_owned()));
        for bad in [
            "a.example",
            "a.example=b",
            "a.example=b:0",
            "a.example=https://b:1",
            "a.example=:1",
        ] {
            let told = errors(&[("DEV_MODE", "true"), ("DEV_RESOLVE", bad)]);
            assert!(told.contains("must be host=server:port"), "{bad}: {told}");
        }
    }
}
