//! A real browser: Chromium, headless.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::binary::on_path;
use crate::process::output;
use crate::{Error, Result};

/// Virtual time of a page: its clock runs as fast as it can, and stands while a request is in progress.
const VIRTUAL_TIME: Duration = Duration::from_secs(12);

/// What a page became.
#[derive(Debug)]
pub struct Shown {
    /// The document after its scripts have run.
    pub document: String,
    /// Messages of the browser's console: errors of scripts, and violations of the policy.
    pub console: Vec<String>,
}

/// Opens a page and returns what it became after some seconds.
///
/// # Errors
/// When there is no Chromium, or it fails.
pub fn open(url: &str, dir: &Path) -> Result<Shown> {
    let program = on_path("chromium").ok_or(Error::Missing {
        program: "chromium",
        remedy: "apt-get install chromium",
    })?;
    let profile = dir.join("chromium");
    let errors = dir.join("chromium.log");
    let mut command = Command::new(program);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--dump-dom",
        ])
        // Nothing is asked for but the page.
        .args([
            "--disable-background-networking",
            "--no-first-run",
            "--disable-component-update",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--virtual-time-budget={}", VIRTUAL_TIME.as_millis()))
        .args(["--enable-logging", "--v=0"])
        .env("CHROME_LOG_FILE", &errors)
        .arg(url);
    let document = output(&mut command, "Chromium failed")?;
    let log = std::fs::read_to_string(&errors).unwrap_or_default();
    let console = log
        .lines()
        .filter(|line| line.contains(":CONSOLE"))
        .map(str::to_owned)
        .collect();
    let _ = std::fs::remove_file(&errors);
    Ok(Shown { document, console })
}
