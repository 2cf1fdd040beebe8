//! `attachment-source`: the sample attachment server as a process, for the compose stack and for use by hand.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use attachment_source::{AttachmentSource, Options};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

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
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
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
    } = arguments;
    let source = AttachmentSource::start(Options {
        http_bind: http,
        https_bind: https,
        https_hosts: hosts,
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
