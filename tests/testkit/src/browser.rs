//! A real browser: Debian's Chromium, headless, which a script of `tests/browser` drives with Playwright.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::binary::on_path;
use crate::{Error, Result, failed, python, watchdog};

const REQUIREMENTS: &str = include_str!("../../browser/requirements.txt");

/// Begins a line of a script that waits until the test has done something.
const REQUEST: &str = "request: ";

/// Returns the Python interpreter with Playwright and axe-core in the test cache. The first call on a machine fetches them (190 MB,
/// and no browser).
pub fn install() -> Result<PathBuf> {
    python::environment("browser", REQUIREMENTS)
}

/// Runs the script `name` of `tests/browser` with `arguments` for the pages at `address`. Whenever it prints a line `request: …`,
/// it waits until `on_request` has returned.
///
/// # Errors
/// When there is no Chromium, or the script fails: then with all that it has printed.
pub fn run(
    name: &str,
    address: &str,
    mut arguments: Value,
    dir: &Path,
    mut on_request: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let chromium = on_path("chromium").ok_or(Error::Missing {
        program: "chromium",
        remedy: "apt-get install chromium",
    })?;
    arguments["address"] = json!(address);
    arguments["chromium"] = json!(chromium);
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../browser")
        .join(format!("{name}.py"));
    let mut child = Command::new(install()?)
        .arg(&script)
        .arg(arguments.to_string())
        .envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")])
        // For the profile of the browser.
        .env("TMPDIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(Error::io(format!("start {}", script.display())))?;
    watchdog::add_group(child.id());
    let mut output = String::new();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    if let (Some(mut stdin), Some(stdout)) = (stdin, stdout) {
        for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
            output += &format!("{line}\n");
            if let Some(request) = line.strip_prefix(REQUEST) {
                let answer = on_request(request).map_or_else(|error| format!("{error:?}"), |()| "done".to_owned());
                // A script that has ended says why.
                let _ = writeln!(stdin, "{}", answer.replace('\n', " "));
            }
        }
    }
    let status = child
        .wait()
        .map_err(Error::io(format!("wait for {}", script.display())))?;
    watchdog::forget_group(child.id());
    if status.success() {
        return Ok(());
    }
    Err(failed(format!("{} ({status})", script.display()), output))
}
