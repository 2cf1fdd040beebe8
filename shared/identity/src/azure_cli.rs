//! Runs `az`, with limits of time and output.
//!
//! `azure_identity` makes the command line (`/bin/sh -c "cd /bin && az account get-access-token …"`) and parses the output.
//! Its own executor has no timeout, and does not stop `az`, a script that starts Python, when the caller stops waiting.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::sync::Arc;

use azure_identity::Executor;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// A token answer is a few KiB; a Python traceback may be longer.
const MAX_OUTPUT: u64 = 256 * 1024;

/// Returns whether `az` is on the path.
pub(crate) fn is_on(path: &OsStr) -> bool {
    let is_program = |file: Metadata| file.is_file() && file.permissions().mode() & 0o111 != 0;
    std::env::split_paths(path).any(|folder| std::fs::metadata(folder.join("az")).is_ok_and(is_program))
}

/// One run of `az`, with its error output.
#[derive(Debug)]
pub(crate) struct Run {
    path: OsString,
    failure: Mutex<Option<Failure>>,
}

/// The exit code and error output of a run that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Run {
    pub(crate) fn new(path: OsString) -> Arc<Self> {
        Arc::new(Self {
            path,
            failure: Mutex::new(None),
        })
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.lock().clone()
    }
}

#[async_trait::async_trait]
impl Executor for Run {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut child = Command::new(program)
            .args(args)
            .env("PATH", &self.path)
            // No prompts and no colours.
            .env("AZURE_CORE_NO_COLOR", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        let status = child.wait().await?;
        group.ended();
        if !status.success() {
            *self.failure.lock() = Some(Failure {
                code: status.code(),
                text: String::from_utf8_lossy(&stderr).into_owned(),
            });
        }
        Ok(Output { status, stdout, stderr })
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MAX_OUTPUT {
        return Err(io::Error::other("`az` wrote too much"));
    }
    Ok(bytes)
}

/// Kills the shell and its child processes when the caller stops waiting.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// Records that the process has ended: its id may belong to another process now.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails if the group has ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
