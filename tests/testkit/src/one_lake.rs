//! The OneLake emulator as a separate process with TLS, for handlers that are separate processes.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::{Process, Result, WorkDir, binary, ports, wait_until};
use crate::{Variables, failed, variables};

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
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(dir: &WorkDir) -> Result<Self> {
        certificate(dir.path())?;
        let item = dir.path().join("onelake").join(WORKSPACE).join(ITEM);
        fs::create_dir_all(item.join("Files/xact"))
            .and_then(|()| fs::create_dir_all(item.join("Tables")))
            .and_then(|()| symlink(item.join("Files/xact"), dir.path().join("files")))
            .and_then(|()| symlink(item.join("Tables"), dir.path().join("tables")))
            .map_err(cannot("make the lake's folders"))?;
        let address = format!("127.0.0.1:{}", ports::free()?);
        Ok(Self {
            process: spawn(&address, dir.path())?,
            address,
            dir: dir.path().to_owned(),
        })
    }

    /// Returns the variables for its files, tables and authority. `authorities`: a file of further certificates to trust.
    ///
    /// # Errors
    /// When that file cannot be read.
    pub fn variables(&self, authorities: Option<&Path>) -> Result<Variables> {
        let bundle = self.dir.join("authorities.pem");
        let mut pem = fs::read(self.dir.join(CERTIFICATE).join("ca.pem")).map_err(cannot("read the authority"))?;
        if let Some(others) = authorities {
            pem.extend(fs::read(others).map_err(cannot("read the other authorities"))?);
        }
        fs::write(&bundle, pem).map_err(cannot("write the authorities"))?;
        let item = format!("abfss://{WORKSPACE}@{}/{ITEM}", self.address);
        Ok(variables(&[
            ("ONELAKE_BASE_PATH", format!("{item}/Files/xact")),
            ("DELTA_EVENTS_TABLE_PATH", format!("{item}/Tables/xact_events")),
            ("DELTA_INVENTORY_TABLE_PATH", format!("{item}/Tables/xact_attachments")),
            (
                "DELTA_FAILED_TABLE_PATH",
                format!("{item}/Tables/xact_attachments_failed"),
            ),
            ("SSL_CERT_FILE", bundle.display().to_string()),
        ]))
    }

    /// Sends a request to `/__admin` (faults, counters, closed workspaces) and returns the body.
    ///
    /// # Errors
    /// When it fails.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--request",
            method,
            "--cacert",
        ])
        .arg(self.dir.join(CERTIFICATE).join("ca.pem"))
        .arg(format!("https://{}/__admin/{path}", self.address));
        if !body.is_empty() {
            curl.args(["--header", "content-type: application/json", "--data", body]);
        }
        let output = curl.output().map_err(cannot("run curl"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(failed(
            format!("{method} /__admin/{path}"),
            format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
        ))
    }

    /// Returns the requests by verb and the bill since its start or since `DELETE /__admin/requests`.
    ///
    /// # Errors
    /// When the emulator does not respond.
    pub fn requests(&self) -> Result<Value> {
        let text = self.admin("GET", "requests", "")?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string(), text))
    }

    /// Returns the process, to kill or freeze it.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Restarts the emulator with its address and data. A running one is killed first.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = spawn(&self.address, &self.dir)?;
        Ok(())
    }
}

fn cannot(what: &'static str) -> impl FnOnce(std::io::Error) -> crate::error::Error {
    move |error| failed(format!("cannot {what}"), error.to_string())
}

fn spawn(address: &str, dir: &Path) -> Result<Process> {
    let item = format!("{WORKSPACE}/{ITEM}");
    let args = [
        "--listen",
        address,
        "--folder",
        "onelake",
        "--item",
        &item,
        "--any-jwt",
        "--tls-certificate",
        "certificate/server.pem",
        "--tls-key",
        "certificate/server-key.pem",
    ];
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
    let output = Command::new(binary("onelake-emulator")?)
        .current_dir(dir)
        .args(["--make-certificate", CERTIFICATE, "--host", "127.0.0.1"])
        .output()
        .map_err(cannot("run the emulator"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(
        "cannot create a certificate",
        String::from_utf8_lossy(&output.stderr),
    ))
}
