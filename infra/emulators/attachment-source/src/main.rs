//! `attachment-source`: the sample attachment server as a process, for the compose stack and for use by hand.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use attachment_source::{AttachmentSource, Certificate, Options};

/// Serves sample attachments over HTTP and HTTPS; GET / lists the paths and the faults on demand.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to serve plain HTTP (port 0: any free one).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    http: SocketAddr,
    /// Where to serve HTTPS (port 0: any free one).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    https: SocketAddr,
    /// A host name that the certificate covers besides localhost; may be given several times.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Where to write the throw-away certificate authority (PEM) for clients to trust.
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// A certificate and its chain (PEM) instead of a throw-away one.
    #[arg(long, value_name = "PATH", requires = "tls_key", conflicts_with_all = ["ca_file", "hosts"])]
    tls_certificate: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "PATH", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Serves nothing: says by its exit code whether the one at --http takes connections.
    #[arg(long)]
    health: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.health {
        health(arguments.http).map_err(Into::into)
    } else {
        run(arguments).await
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attachment-source: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Before the addresses are printed: whoever reads them may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let Arguments {
        http,
        https,
        hosts,
        ca_file,
        tls_certificate,
        tls_key,
        health: _,
    } = arguments;
    let certificate = match (&tls_certificate, &tls_key) {
        (Some(chain), Some(key)) => Some(Certificate {
            chain: read("--tls-certificate", chain)?,
            key: read("--tls-key", key)?,
        }),
        _ => None,
    };
    let source = AttachmentSource::start(Options {
        http_bind: http,
        https_bind: https,
        https_hosts: hosts,
        certificate,
    })
    .await?;
    if let Some(path) = &ca_file {
        std::fs::write(path, source.ca_pem()).map_err(|error| {
            format!(
                "cannot write {} (--ca-file): {error}; choose a writable path",
                path.display()
            )
        })?;
    }
    let mut out = io::stdout();
    writeln!(
        out,
        "http  http://{}\nhttps https://{}",
        source.http_addr(),
        source.https_addr()
    )?;
    match &ca_file {
        Some(path) => writeln!(out, "ca    {}", path.display())?,
        None if tls_certificate.is_some() => {}
        None => writeln!(out, "ca    not written; give --ca-file PATH for HTTPS clients to trust")?,
    }
    out.flush()?;

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    source.stop().await;
    Ok(())
}

/// Asked where it listens, or over loopback if that is everywhere.
fn health(address: SocketAddr) -> io::Result<()> {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), Duration::from_secs(3)).map(drop)
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {} ({option}): {error}; give a PEM file", path.display()))
}
