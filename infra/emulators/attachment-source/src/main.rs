//! `attachment-source`: the sample attachment server as a process, for the compose stack and for use by hand.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use attachment_source::{AttachmentSource, Options};
use emulator_kit::process::{StopSignal, TlsArguments, check_health, exit_code};

/// Serves sample attachments over HTTP and HTTPS; GET / lists the paths and the faults on demand.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address for plain HTTP (port 0: any free one).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    http: SocketAddr,
    /// Address for HTTPS (port 0: any free one).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    https: SocketAddr,
    /// Host name that the throw-away certificate covers in addition to localhost; may be given several times.
    #[arg(long = "host", value_name = "NAME", conflicts_with = "tls_certificate")]
    hosts: Vec<String>,
    /// File for the throw-away certificate authority (PEM), for clients to trust.
    #[arg(long, value_name = "PATH", conflicts_with = "tls_certificate")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArguments,
    /// Does not serve: exits with 0 if the server at --http accepts connections, else with 1.
    #[arg(long)]
    health: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("attachment-source", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.health {
        return Ok(check_health(arguments.http)?);
    }
    let stop = StopSignal::listen()?;
    let source = AttachmentSource::start(Options {
        http_bind: arguments.http,
        https_bind: arguments.https,
        https_hosts: arguments.hosts,
        certificate: arguments.tls.read()?,
    })
    .await?;
    if let Some(path) = &arguments.ca_file {
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
    match &arguments.ca_file {
        Some(path) => writeln!(out, "ca    {}", path.display())?,
        None if source.ca_pem().is_empty() => {}
        None => writeln!(out, "ca    not written; give --ca-file PATH for HTTPS clients to trust")?,
    }
    out.flush()?;

    stop.received().await;
    source.stop().await;
    Ok(())
}
