//! `--live` and `--ready`: a handler's binary asks the one that runs beside it, and answers with its exit code.
//!
//! For health checks in an image that holds that binary and nothing else: no shell, no curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use xact_config::{ConfigError, Environment, Settings, load_dotenv};

/// For a connection, and for each piece of the answer. Whoever asks has a limit of his own.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of an answer: beyond that it is none of ours.
const MAX_ANSWER: u64 = 64 * 1024;

/// What the command line asks of a handler's binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To be the handler.
    Run,
    /// Whether the one that runs here lives.
    Live,
    /// Whether it is ready.
    Ready,
}

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// Arguments that no handler knows.
    #[error(
        "{0:?} is no argument: a handler is configured by variables alone; --live and --ready ask the one that runs here"
    )]
    Argument(String),
    /// The port cannot be known.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port that the system chose.
    #[error("METRICS_PORT=0 takes any free port, so that nobody can know it: set it to one")]
    AnyPort,
    /// Nobody there.
    #[error("{0} does not answer: {1}")]
    Silent(SocketAddr, io::Error),
    /// Another status than 200.
    #[error("{0}")]
    Unwell(String),
}

impl Asked {
    /// Reads the arguments after the program's name.
    pub(crate) fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, ProbeError> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(Self::Run),
            ["--live"] => Ok(Self::Live),
            ["--ready"] => Ok(Self::Ready),
            _ => Err(ProbeError::Argument(arguments.join(" "))),
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Run | Self::Live => "/health/live",
            Self::Ready => "/health/ready",
        }
    }
}

/// Asks the handler that the same variables configure. Its reasons, if it is not well, are the error's text.
pub(crate) fn ask(asked: Asked) -> Result<(), ProbeError> {
    let mut environment = Environment::of_process();
    load_dotenv(&mut environment)?;
    let address = Settings::from_environment(&environment)?.metrics_address;
    ask_at(asked, reachable(address)?)
}

/// Where a listener on `address` is reached from its own machine.
fn reachable(address: SocketAddr) -> Result<SocketAddr, ProbeError> {
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

fn ask_at(asked: Asked, address: SocketAddr) -> Result<(), ProbeError> {
    let answer = get(address, asked.path()).map_err(|error| ProbeError::Silent(address, error))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(()),
        _ if body.trim().is_empty() => Err(ProbeError::Unwell(head.lines().next().unwrap_or_default().to_owned())),
        _ => Err(ProbeError::Unwell(body.trim().to_owned())),
    }
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    connection.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http;
    use xact_telemetry::health::Health;

    async fn asked(asked: Asked, address: SocketAddr) -> Result<(), ProbeError> {
        tokio::task::spawn_blocking(move || ask_at(asked, address))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_handler_says_of_itself_whether_it_lives_and_is_ready() {
        let health = Health::default();
        health.down("broker", "cannot be reached");
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(http::serve(listener, health.clone(), Vec::new(), None, stop.clone()));

        asked(Asked::Live, address).await.unwrap();
        let reason = asked(Asked::Ready, address).await.unwrap_err().to_string();
        assert_eq!(reason, r#"{"ready":false,"reasons":{"broker":"cannot be reached"}}"#);
        health.up("broker");
        asked(Asked::Ready, address).await.unwrap();

        stop.cancel();
        serving.await.unwrap();
        let gone = asked(Asked::Live, address).await.unwrap_err();
        assert!(matches!(gone, ProbeError::Silent(..)), "{gone}");
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_over_loopback() {
        let reached = |text: &str| reachable(text.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(reached("0.0.0.0:8000").unwrap(), "127.0.0.1:8000");
        assert_eq!(reached("[::]:8000").unwrap(), "[::1]:8000");
        assert_eq!(reached("10.0.0.7:8000").unwrap(), "10.0.0.7:8000");
        assert!(matches!(reached("0.0.0.0:0"), Err(ProbeError::AnyPort)));
    }

    #[test]
    fn only_the_two_questions_are_arguments() {
        let read = |arguments: &[&str]| Asked::read(arguments.iter().map(|&argument| argument.to_owned()));
        assert_eq!(read(&[]).unwrap(), Asked::Run);
        assert_eq!(read(&["--live"]).unwrap(), Asked::Live);
        assert_eq!(read(&["--ready"]).unwrap(), Asked::Ready);
        let error = read(&["--worker", "dlq"]).unwrap_err().to_string();
        assert!(error.starts_with("\"--worker dlq\" is no argument"), "{error}");
    }
}
