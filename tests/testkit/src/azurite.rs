//! Azurite, Microsoft's emulator of Blob storage: the reference for the responses of the OneLake emulator.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Error, Process, Result, WorkDir, binary::on_path, cache, http, ports, process::output, wait_until, workdir::write,
};

const PACKAGE: &str = include_str!("../../azurite/package.json");
const LOCK: &str = include_str!("../../azurite/package-lock.json");

/// Time within which Azurite must respond, on a busy machine too.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running Azurite with the well-known account `devstoreaccount1`, empty at first. Dropping it ends it.
#[derive(Debug)]
pub struct Azurite {
    address: String,
    _process: Process,
    _dir: WorkDir,
}

impl Azurite {
    /// Starts Azurite and waits until it responds.
    pub fn start() -> Result<Azurite> {
        let program = install()?;
        let dir = WorkDir::new("azurite")?;
        let port = ports::free()?.to_string();
        let mut args = vec![program.into_os_string()];
        let data = dir.join("data");
        args.extend(["--blobHost", "127.0.0.1", "--blobPort", &port, "--location"].map(Into::into));
        args.push(data.into());
        // Without --loose it rejects unknown headers and parameters, as the service does.
        args.extend(["--silent", "--disableTelemetry", "--skipApiVersionCheck"].map(Into::into));
        let mut process = Process::spawn("azurite", node()?, args, [("NO_COLOR", "1")], dir.path())?;
        let address = format!("127.0.0.1:{port}");
        let answers = || (!process.is_running() || http::get(&address, "/devstoreaccount1/").is_ok()).then_some(());
        let waited = wait_until(START_TIMEOUT, "Azurite answers", answers);
        if waited.is_err() || !process.is_running() {
            return Err(process.error("it does not answer"));
        }
        Ok(Azurite {
            address,
            _process: process,
            _dir: dir,
        })
    }

    /// Returns its address, `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Returns the program in the test cache. The first call on a machine fetches it from the npm registry (360 MB).
pub fn install() -> Result<PathBuf> {
    let node = node()?;
    let npm = on_path("npm").ok_or(Error::Missing {
        program: "npm",
        remedy: "apt-get install npm",
    })?;
    let recipe = format!("{PACKAGE}\n{LOCK}\n{}", node.display());
    let folder = cache::once("azurite", &recipe, |folder| {
        for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
            let file = folder.join(name);
            write(&file, text)?;
        }
        let mut command = Command::new(&npm);
        // Install scripts compile only parts that are not needed here.
        let options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
        command.arg("ci").args(options).current_dir(folder);
        output(&mut command, "npm could not fetch Azurite").map(drop)
    })?;
    Ok(folder.join(Path::new("node_modules/azurite/dist/src/blob/main.js")))
}

fn node() -> Result<PathBuf> {
    on_path("node").ok_or(Error::Missing {
        program: "node",
        remedy: "apt-get install nodejs (or Node.js 20 or later)",
    })
}
