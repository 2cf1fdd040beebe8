//! The OneLake emulator as a separate process with TLS, for handlers that are separate processes.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::managed_identity::{Answer, ManagedIdentity};
use crate::process::output;
use crate::secrets::PLANTED;
use crate::tokens::Issuer;
use crate::{Error, Process, Result, Variables, WorkDir, binary, context, ports, variables, wait_until};

/// Name of the only workspace.
pub const WORKSPACE: &str = "claims";
const ITEM: &str = "Lake.Lakehouse";
/// Folder of the certificate and its authority.
const CERTIFICATE: &str = "certificate";

/// The emulator. Its data is in `files` and `tables` of the work directory, as that of a local lake.
pub struct OneLakeServer {
    process: Process,
    address: String,
    dir: PathBuf,
}

impl OneLakeServer {
    /// Starts the emulator and waits until it responds. It accepts every token with the form of an Entra token for storage.
    pub fn start(dir: &WorkDir) -> Result<Self> {
        certificate(dir.path())?;
        let item = dir.path().join("onelake").join(WORKSPACE).join(ITEM);
        fs::create_dir_all(item.join("Files/xact"))
            .and_then(|()| fs::create_dir_all(item.join("Tables")))
            .and_then(|()| symlink(item.join("Files/xact"), dir.path().join("files")))
            .and_then(|()| symlink(item.join("Tables"), dir.path().join("tables")))
            .map_err(Error::io("make the lake's folders"))?;
        let address = format!("127.0.0.1:{}", ports::free()?);
        Ok(Self {
            process: spawn(&address, dir.path())?,
            address,
            dir: dir.path().to_owned(),
        })
    }

    /// Returns the variables for its files, tables and authority. `authorities`: a file of further certificates to trust.
    pub fn variables(&self, authorities: Option<&Path>) -> Result<Variables> {
        let bundle = self.dir.join("authorities.pem");
        let mut pem = fs::read(self.dir.join(CERTIFICATE).join("ca.pem")).map_err(Error::io("read the authority"))?;
        if let Some(others) = authorities {
            pem.extend(fs::read(others).map_err(Error::io("read the other authorities"))?);
        }
        fs::write(&bundle, pem).map_err(Error::io("write the authorities"))?;
        let item = format!("abfss://{WORKSPACE}@{}/{ITEM}", self.address);
        let tables = format!("{item}/Tables/xact");
        Ok(variables(&[
            ("ONELAKE_BASE_PATH", format!("{item}/Files/xact")),
            ("DELTA_EVENTS_TABLE_PATH", format!("{tables}_events")),
            ("DELTA_INVENTORY_TABLE_PATH", format!("{tables}_attachments")),
            ("DELTA_FAILED_TABLE_PATH", format!("{tables}_attachments_failed")),
            ("DELTA_RECONCILIATION_TABLE_PATH", format!("{tables}_reconciliation")),
            ("SSL_CERT_FILE", bundle.display().to_string()),
        ]))
    }

    /// Returns the variables for its files, tables and authority, and those of a managed identity `name` with its tokens.
    pub fn variables_with_identity(&self, name: &str) -> Result<Variables> {
        let issuer = Arc::new(Issuer::new()?);
        let day = Answer::Tokens(Duration::from_secs(24 * 3600));
        let identity = ManagedIdentity::start(&issuer, &format!("{PLANTED}-{name}"), day)?;
        let mut all = self.variables(None)?;
        all.extend(variables(&identity.variables()));
        // Tests of other credentials set one.
        all.extend(variables(&[("AZURE_CLIENT_SECRET", "")]));
        Ok(all)
    }

    /// Sends a request to `/__admin` (faults, counters, closed workspaces) and returns the body.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--request", method])
            .arg("--cacert")
            .arg(self.dir.join(CERTIFICATE).join("ca.pem"))
            .arg(format!("https://{}/__admin/{path}", self.address));
        if !body.is_empty() {
            curl.args(["--header", "content-type: application/json", "--data", body]);
        }
        output(&mut curl, &format!("{method} /__admin/{path}"))
    }

    /// Returns the bill since its start or since `DELETE /__admin/requests`.
    pub fn bill(&self) -> Result<Value> {
        let text = self.admin("GET", "requests", "")?;
        let mut answer: Value = serde_json::from_str(&text).map_err(context(text))?;
        Ok(answer["bill"].take())
    }

    /// Returns the process, to kill or freeze it.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Restarts the emulator with its address and data. A running one is killed first.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = spawn(&self.address, &self.dir)?;
        Ok(())
    }
}

fn spawn(address: &str, dir: &Path) -> Result<Process> {
    let item = format!("{WORKSPACE}/{ITEM}");
    let mut args = vec!["--listen", address, "--folder", "onelake", "--item", &item, "--any-jwt"];
    args.extend(["--tls-certificate", "certificate/server.pem"]);
    args.extend(["--tls-key", "certificate/server-key.pem"]);
    let none: [(&str, &str); 0] = [];
    let process = Process::spawn("onelake-emulator", binary("onelake-emulator")?, args, none, dir)?;
    wait_until(Duration::from_secs(30), "the OneLake emulator answers", || {
        TcpStream::connect(address).is_ok().then_some(())
    })
    .map_err(|error| process.error(&error.to_string()))?;
    Ok(process)
}

/// Creates a certificate for the loopback address with the emulator.
fn certificate(dir: &Path) -> Result<()> {
    let mut command = Command::new(binary("onelake-emulator")?);
    command
        .current_dir(dir)
        .args(["--make-certificate", CERTIFICATE, "--host", "127.0.0.1"]);
    output(&mut command, "cannot create a certificate").map(drop)
}
