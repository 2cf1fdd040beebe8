//! `--live` and `--ready`: a binary probes the instance that runs on the same machine.
//!
//! For health checks in an image that contains only that binary: no shell, no curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use xact_config::{ConfigError, Environment, Settings, load_dotenv};

/// Time limit for the connection and for each read and write. The caller has its own limit for the whole probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Most bytes to read of a response.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// What the command line of a handler's binary requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the handler.
    Run,
    /// Probe the running instance, at this path.
    Probe(&'static str),
}

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";

/// A probe failed, or its answer is no.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A handler takes no other arguments.
    #[error(
        "{0:?} is not a valid argument: a handler is configured by variables alone; --live and --ready probe the one that runs here"
    )]
    Argument(String),
    /// The instance cannot be known from these variables.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody knows the port.
    #[error(
        "port 0 takes any free port, which a probe cannot know: set METRICS_PORT (--listen of the console) to a port number"
    )]
    AnyPort,
    /// Nobody listens, or the answer takes too long.
    #[error("{0} does not answer: {1}")]
    NoAnswer(SocketAddr, io::Error),
    /// The instance answered with another status than 200.
    #[error("{0}")]
    Negative(String),
}

impl Command {
    /// Parses the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, ProbeError> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        match (arguments.len(), arguments.join(" ").as_str()) {
            (0, _) => Ok(Self::Run),
            (1, "--live") => Ok(Self::Probe(LIVE)),
            (1, "--ready") => Ok(Self::Probe(READY)),
            (_, other) => Err(ProbeError::Argument(other.to_owned())),
        }
    }
}

/// Probes the instance that the same variables configure. The error's text contains the reasons of a negative answer.
pub(crate) fn probe(path: &str) -> Result<(), ProbeError> {
    let mut environment = Environment::of_process();
    load_dotenv(&mut environment)?;
    let address = Settings::from_environment(&environment)?.metrics_address;
    probe_at(path, local_address(address)?)
}

/// Asks the process that listens on `address`, which may be the unspecified one, whether it lives.
///
/// # Errors
/// When it does not answer, or answers with another status than 200.
pub fn probe_liveness(address: SocketAddr) -> Result<(), ProbeError> {
    probe_at(LIVE, local_address(address)?)
}

/// Returns the address at which a listener on `address` is reached from its own machine.
fn local_address(address: SocketAddr) -> Result<SocketAddr, ProbeError> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match address.port() {
        0 => Err(ProbeError::AnyPort),
        port => Ok(SocketAddr::new(ip, port)),
    }
}

fn probe_at(path: &str, address: SocketAddr) -> Result<(), ProbeError> {
    let response = get(address, path).map_err(|error| ProbeError::NoAnswer(address, error))?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    match head.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(()),
        _ if body.trim().is_empty() => Err(ProbeError::Negative(head.lines().next().unwrap_or_default().to_owned())),
        _ => Err(ProbeError::Negative(body.trim().to_owned())),
    }
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    connection.set_read_timeout(Some(PROBE_TIMEOUT))?;
    connection.set_write_timeout(Some(PROBE_TIMEOUT))?;
    connection.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut response = Vec::new();
    connection.take(MAX_RESPONSE_BYTES).read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http;
    use xact_telemetry::health::Health;

    async fn probed(path: &'static str, address: SocketAddr) -> Result<(), ProbeError> {
        let probe = tokio::task::spawn_blocking(move || probe_at(path, address));
        probe.await.unwrap()
    }

    #[tokio::test]
    async fn a_probe_reports_liveness_and_readiness() {
        let health = Health::default();
        health.down("broker", "cannot be reached");
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(http::serve_process(
            listener,
            health.clone(),
            Vec::new(),
            None,
            stop.clone(),
        ));

        let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        let liveness = tokio::task::spawn_blocking(move || probe_liveness(everywhere));
        liveness.await.unwrap().unwrap();
        let reason = probed(READY, address).await.unwrap_err().to_string();
        assert_eq!(reason, r#"{"ready":false,"reasons":{"broker":"cannot be reached"}}"#);
        health.up("broker");
        probed(READY, address).await.unwrap();

        stop.cancel();
        serving.await.unwrap();
        let gone = probed(LIVE, address).await.unwrap_err();
        assert!(matches!(gone, ProbeError::NoAnswer(..)), "{gone}");
    }

    #[test]
    fn a_listener_on_all_addresses_is_probed_over_loopback() {
        let local = |text: &str| local_address(text.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(local("0.0.0.0:8000").unwrap(), "127.0.0.1:8000");
        assert_eq!(local("[::]:8000").unwrap(), "[::1]:8000");
        assert_eq!(local("10.0.0.7:8000").unwrap(), "10.0.0.7:8000");
        assert!(matches!(local("0.0.0.0:0"), Err(ProbeError::AnyPort)));
    }

    #[test]
    fn only_the_two_probes_are_valid_arguments() {
        let parse = |arguments: &[&str]| Command::parse(arguments.iter().map(|&argument| argument.to_owned()));
        assert_eq!(parse(&[]).unwrap(), Command::Run);
        assert_eq!(parse(&["--live"]).unwrap(), Command::Probe(LIVE));
        assert_eq!(parse(&["--ready"]).unwrap(), Command::Probe(READY));
        let error = parse(&["--worker", "dlq"]).unwrap_err().to_string();
        assert!(error.starts_with("\"--worker dlq\" is not a valid argument"), "{error}");
    }
}
