//! `onelake-emulator`: the emulator as a process, for the compose stack and for use by hand.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use onelake_emulator::{AcceptedToken, Item, ManagedIdentity, OneLake, Options, Tls, certificates};

/// Serves a folder as OneLake does, over the DFS and Blob protocols on one port; GET /__admin lists faults and more.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen (port 0: any free one).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10000")]
    listen: SocketAddr,
    /// Where the data lies: {folder}/{workspace}/{item}/{Files|Tables}/….
    #[arg(long, value_name = "PATH", default_value = "onelake")]
    folder: PathBuf,
    /// An item that is to be there; may be given several times.
    #[arg(long = "item", value_name = "WORKSPACE[=GUID]/ITEM[=GUID]")]
    items: Vec<Item>,
    /// A bearer token that is taken, and who it speaks for; may be given several times.
    #[arg(
        long = "token",
        env = "ONELAKE_EMULATOR_TOKENS",
        value_name = "PRINCIPAL=TOKEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    tokens: Vec<PrincipalToken>,
    /// Takes any unexpired JWT for https://storage.azure.com as well, whoever signed it.
    #[arg(long)]
    any_jwt: bool,
    /// The account for shared keys [default: devstoreaccount1 with its well-known key].
    #[arg(
        long,
        env = "ONELAKE_EMULATOR_ACCOUNT",
        value_name = "NAME=KEY",
        hide_env_values = true
    )]
    account: Option<Secret>,
    /// Opens /__admin to other machines that send it as a bearer token.
    #[arg(
        long,
        env = "ONELAKE_EMULATOR_ADMIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    admin_token: Option<Secret>,
    /// The certificate and its chain (PEM): HTTPS instead of HTTP.
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "PATH", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Lets clients create and delete workspaces, which OneLake does not.
    #[arg(long)]
    workspaces_by_api: bool,
    /// Refuses names of workspaces and items, as some tenants do.
    #[arg(long)]
    guids_only: bool,
    /// Adds so many milliseconds to every request before its answer, as the distance to a data centre would.
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Gives tokens for itself to whoever asks here as a container app asks for those of its managed identity (HTTP, below
    /// /msi/token).
    #[arg(long, value_name = "ADDRESS", requires = "identity_header")]
    identity: Option<SocketAddr>,
    /// What clients must show there: their IDENTITY_HEADER.
    #[arg(
        long,
        env = "ONELAKE_EMULATOR_IDENTITY_HEADER",
        value_name = "SECRET",
        hide_env_values = true
    )]
    identity_header: Option<Secret>,
    /// Serves nothing: makes server.pem and server-key.pem in this folder, and ca.pem for clients to trust, unless they are
    /// there for the same names.
    #[arg(long, value_name = "FOLDER", requires = "hosts")]
    make_certificate: Option<PathBuf>,
    /// A host name of that certificate; may be given several times.
    #[arg(long = "host", value_name = "NAME", requires = "make_certificate")]
    hosts: Vec<String>,
    /// Serves nothing: says by its exit code whether the one at --listen takes connections.
    #[arg(long, conflicts_with = "make_certificate")]
    health: bool,
}

/// A value that `Debug` does not show.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

#[derive(Debug, Clone)]
struct PrincipalToken(AcceptedToken);

impl std::str::FromStr for PrincipalToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (principal, token) = text.split_once('=').ok_or("write PRINCIPAL=TOKEN")?;
        Ok(Self(AcceptedToken {
            token: token.to_owned(),
            principal: principal.to_owned(),
            expires_at: None,
        }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("onelake-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.health {
        return Ok(health(arguments.listen)?);
    }
    if let Some(folder) = &arguments.make_certificate {
        let made = certificates::make(folder, &arguments.hosts)?;
        let word = if made { "made" } else { "there already" };
        writeln!(io::stdout(), "certificate {word}: {}", folder.display())?;
        return Ok(());
    }
    // Before the address is printed: whoever reads it may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let tls = match (&arguments.tls_certificate, &arguments.tls_key) {
        (Some(certificates), Some(key)) => Some(Tls {
            certificates: read("--tls-certificate", certificates)?,
            key: read("--tls-key", key)?,
        }),
        _ => None,
    };
    let items = arguments.items.clone();
    let emulator = OneLake::start(Options {
        bind: arguments.listen,
        folder: arguments.folder.clone(),
        tls,
        items: arguments.items,
        tokens: arguments.tokens.into_iter().map(|token| token.0).collect(),
        any_jwt: arguments.any_jwt,
        account: arguments.account.map(|account| account.0),
        admin_token: arguments.admin_token.map(|token| token.0),
        workspaces_by_api: arguments.workspaces_by_api,
        guids_only: arguments.guids_only,
        latency: Duration::from_millis(arguments.latency_ms),
    })
    .await?;

    let identity = match (arguments.identity, arguments.identity_header) {
        (Some(bind), Some(header)) => Some(ManagedIdentity::start(bind, header.0, &emulator).await?),
        _ => None,
    };

    let mut out = io::stdout();
    writeln!(
        out,
        "onelake {}\nfolder  {}",
        emulator.url(),
        arguments.folder.display()
    )?;
    for item in &items {
        writeln!(
            out,
            "item    {}/{} = {}/{}",
            item.workspace,
            item.name,
            item.workspace_guid(),
            item.guid()
        )?;
    }
    if let Some(identity) = &identity {
        writeln!(out, "tokens  {}", identity.url())?;
    }
    out.flush()?;

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    drop(identity);
    emulator.stop().await;
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
