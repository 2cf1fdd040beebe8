//! Parsers of single values. Each error says what the value must be.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::cluster::Protocol;
use crate::otlp::Temporality;
use crate::settings::OffsetReset;
use xact_contracts::url_paths::UrlPaths;

type Parsed<T> = Result<T, String>;

const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) fn secret(text: &str) -> Parsed<SecretString> {
    Ok(SecretString::from(text))
}

pub(crate) fn offset_reset(text: &str) -> Parsed<OffsetReset> {
    match text.to_ascii_lowercase().as_str() {
        "earliest" => Ok(OffsetReset::Earliest),
        "latest" => Ok(OffsetReset::Latest),
        _ => Err("must be earliest or latest".to_owned()),
    }
}

pub(crate) fn protocol(text: &str) -> Parsed<Protocol> {
    match text.to_ascii_uppercase().as_str() {
        "PLAINTEXT" => Ok(Protocol::Plaintext),
        "SSL" => Ok(Protocol::Ssl),
        "SASL_SSL" => Ok(Protocol::SaslSsl),
        _ => Err("must be PLAINTEXT, SSL or SASL_SSL".to_owned()),
    }
}

pub(crate) fn topic(text: &str) -> Parsed<String> {
    let fits = text.len() <= 200 && !matches!(text, "." | "..") && is_made_of(text, b"._-");
    fits.then(|| text.to_owned())
        .ok_or_else(|| "must be a topic name: at most 200 letters, digits, '.', '_' or '-'".to_owned())
}

pub(crate) fn retry_delays(text: &str) -> Parsed<Vec<Duration>> {
    let delays = text.split(',').map(|part| part.trim().parse().ok());
    let delays: Option<Vec<_>> = delays.map(|seconds| seconds.map(Duration::from_secs)).collect();
    let is_valid = |delays: &Vec<Duration>| {
        delays.len() <= 10
            && delays.is_sorted_by(|first, second| first < second)
            && delays.iter().all(|delay| *delay <= LONGEST_RETRY_DELAY)
    };
    let must = "must be 1 to 10 whole numbers of seconds in rising order, comma-separated, each at most 30 days";
    delays.filter(is_valid).ok_or_else(|| must.to_owned())
}

pub(crate) fn hosts(text: &str) -> Parsed<Vec<String>> {
    let hosts: Vec<_> = entries(text).map(str::to_ascii_lowercase).collect();
    if hosts.is_empty() || !hosts.iter().all(|host| is_made_of(host, b".-_")) {
        return Err("must be host names, comma-separated, without scheme, port, path or wildcard".to_owned());
    }
    Ok(hosts)
}

pub(crate) fn url_paths(text: &str) -> Parsed<UrlPaths> {
    UrlPaths::parse(text)
        .map_err(|entry| format!("{entry:?} is not a JSON path: paths begin with $. as in $.payload.links.self"))
}

pub(crate) fn log_level(text: &str) -> Parsed<String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be ERROR, WARN, INFO, DEBUG, TRACE, or a filter such as info,download=debug".to_owned()),
    }
}

/// Reads the headers of <https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables>.
pub(crate) fn otlp_headers(text: &str) -> Parsed<Vec<(String, SecretString)>> {
    entries(text)
        .map(|entry| {
            let (name, value) = entry.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            let is_valid = !name.trim().is_empty()
                && is_made_of(name.trim(), b"-_.")
                && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            is_valid.then(|| (name.trim().to_ascii_lowercase(), SecretString::from(value.into_owned())))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "must be name=value, comma-separated, with percent-encoded values".to_owned())
}

pub(crate) fn metrics_exporter(text: &str) -> Parsed<bool> {
    match text {
        "otlp" => Ok(true),
        "none" => Ok(false),
        _ => Err("must be otlp or none".to_owned()),
    }
}

pub(crate) fn temporality(text: &str) -> Parsed<Temporality> {
    match text.to_ascii_lowercase().as_str() {
        "cumulative" => Ok(Temporality::Cumulative),
        "delta" => Ok(Temporality::Delta),
        _ => Err("must be cumulative or delta".to_owned()),
    }
}

/// Reads a URL with a place for the id of a trace. It becomes a link, so other schemes are refused.
pub(crate) fn trace_url_template(text: &str) -> Parsed<String> {
    let example = text.replace("{trace_id}", "0af7651916cd43dd8448eb211c80319c");
    let is_valid = example != text && Url::parse(&example).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_valid.then(|| text.to_owned()).ok_or_else(|| {
        "must be an http or https URL with {trace_id}, as https://jaeger.example/trace/{trace_id}".to_owned()
    })
}

pub(crate) fn address(text: &str) -> Parsed<IpAddr> {
    text.parse()
        .map_err(|_| "must be an IPv4 or IPv6 address, or empty".to_owned())
}

/// Reads `host=server:port` entries.
pub(crate) fn resolve(text: &str) -> Parsed<Vec<(String, String)>> {
    entries(text)
        .map(|entry| {
            let (host, server) = entry.split_once('=').filter(|(_, server)| is_server(server))?;
            Some((host.to_ascii_lowercase(), server.to_owned()))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "must be host=server:port, comma-separated".to_owned())
}

/// Whether the text is `address:port` or `name:port`. Names are looked up when they are used.
fn is_server(text: &str) -> bool {
    let is_named = text.rsplit_once(':').is_some_and(|(name, port)| {
        !name.is_empty() && is_made_of(name, b".-_") && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    is_named || text.parse::<SocketAddr>().is_ok()
}

/// The entries of a comma-separated list that are not empty.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Whether the text has only ASCII letters, digits and the given characters.
pub(crate) fn is_made_of(text: &str, others: &[u8]) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}
