//! `onelake-emulator`: the emulator as a process, for the compose stack and for use by hand.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use emulator_kit::certificates::{Certificate, FolderCertificate};
use emulator_kit::process::{StopSignal, TlsArguments, check_health, exit_code};
use onelake_emulator::{AcceptedToken, Item, ManagedIdentity, OneLake, Options};

/// Serves a folder as OneLake does, over the DFS and Blob protocols on one port; GET /__admin lists faults and more.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on (port 0: any free one); HTTPS instead of HTTP with --tls-certificate.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10000")]
    listen: SocketAddr,
    /// Folder of the data: {folder}/{workspace}/{item}/{Files|Tables}/….
    #[arg(long, value_name = "PATH", default_value = "onelake")]
    folder: PathBuf,
    /// Item to create, unless it exists; with `:schemas` a lakehouse with schemas. May be given several times.
    #[arg(long = "item", value_name = "WORKSPACE[=GUID]/ITEM[=GUID][:schemas]")]
    items: Vec<Item>,
    /// Bearer token to accept, and its principal; may be given several times.
    #[arg(
        long = "token",
        env = "ONELAKE_EMULATOR_TOKENS",
        value_name = "PRINCIPAL=TOKEN",
        value_delimiter = ',',
        value_parser = principal_token,
        hide_env_values = true
    )]
    tokens: Vec<AcceptedToken>,
    /// Accepts any unexpired JWT for https://storage.azure.com as well, whatever its signature.
    #[arg(long)]
    any_jwt: bool,
    /// Opens /__admin to other machines that send this as a bearer token.
    #[arg(
        long,
        env = "ONELAKE_EMULATOR_ADMIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    admin_token: Option<String>,
    #[command(flatten)]
    tls: TlsArguments,
    /// Refuses names of workspaces and items, as some tenants do.
    #[arg(long)]
    guids_only: bool,
    /// Delays every answer by N milliseconds, as the distance to a data centre does.
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Address for a managed identity endpoint as in Azure Container Apps (HTTP, /msi/token), which issues tokens for this
    /// emulator.
    #[arg(long, value_name = "ADDRESS", requires = "identity_header")]
    identity: Option<SocketAddr>,
    /// The IDENTITY_HEADER that clients must send there.
    #[arg(
        long,
        env = "ONELAKE_EMULATOR_IDENTITY_HEADER",
        value_name = "SECRET",
        hide_env_values = true
    )]
    identity_header: Option<String>,
    /// Does not serve: makes server.pem and server-key.pem in this folder, and ca.pem for clients to trust, unless it has
    /// them for the same names.
    #[arg(long, value_name = "FOLDER", requires = "hosts")]
    make_certificate: Option<PathBuf>,
    /// Host name of that certificate; may be given several times.
    #[arg(long = "host", value_name = "NAME", requires = "make_certificate")]
    hosts: Vec<String>,
    /// Does not serve: exits with 0 if the emulator at --listen accepts connections, else with 1.
    #[arg(long, conflicts_with = "make_certificate")]
    health: bool,
}

fn principal_token(text: &str) -> Result<AcceptedToken, &'static str> {
    let (principal, token) = text.split_once('=').ok_or("write PRINCIPAL=TOKEN")?;
    Ok(AcceptedToken {
        token: token.to_owned(),
        principal: principal.to_owned(),
        expires_at: None,
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("onelake-emulator", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.health {
        return Ok(check_health(arguments.listen)?);
    }
    let mut out = io::stdout();
    if let Some(folder) = &arguments.make_certificate {
        let word = match Certificate::in_folder(folder, &arguments.hosts)?.1 {
            FolderCertificate::Made => "made",
            FolderCertificate::Kept => "there already",
        };
        writeln!(out, "certificate {word}: {}", folder.display())?;
        return Ok(());
    }
    let stop = StopSignal::listen()?;
    let items = arguments.items.clone();
    let emulator = OneLake::start(Options {
        bind: arguments.listen,
        folder: arguments.folder.clone(),
        tls: arguments.tls.read()?,
        items: arguments.items,
        tokens: arguments.tokens,
        any_jwt: arguments.any_jwt,
        admin_token: arguments.admin_token,
        guids_only: arguments.guids_only,
        latency: Duration::from_millis(arguments.latency_ms),
    })
    .await?;
    let identity = match (arguments.identity, arguments.identity_header) {
        (Some(bind), Some(header)) => Some(ManagedIdentity::start(bind, header, &emulator).await?),
        _ => None,
    };

    writeln!(
        out,
        "onelake {}\nfolder  {}",
        emulator.url(),
        arguments.folder.display()
    )?;
    for item in &items {
        let guids = format!("{}/{}", item.workspace_guid(), item.guid());
        writeln!(out, "item    {}/{} = {guids}", item.workspace, item.name)?;
    }
    if let Some(identity) = &identity {
        writeln!(out, "tokens  {}", identity.url())?;
    }
    out.flush()?;

    stop.received().await;
    drop(identity);
    emulator.stop().await;
    Ok(())
}
