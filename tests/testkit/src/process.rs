//! A child process under test: its output goes to a file, it can be killed and frozen, and it never outlives its
//! owner.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::{Error, Result, wait_until, watchdog};

/// How many lines of the log an error shows.
const TAIL_LINES: usize = 40;

/// A running (or ended) child in a process group of its own. Signals go to the whole group, so that what the child
/// started feels them as well. Dropping it kills the group and reaps the child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
    /// Set once the child is reaped: from then on its id may belong to a stranger and must not be signalled.
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `program` with `dir` as working directory. Its stdout and stderr are appended to `{dir}/{name}.log`:
    /// a process that is started again under the same name continues the log. `envs` are added to this process's
    /// environment.
    pub fn spawn<A, K, V>(
        name: &str,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
        envs: impl IntoIterator<Item = (K, V)>,
        dir: &Path,
    ) -> Result<Process>
    where
        A: AsRef<OsStr>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let log = dir.join(format!("{name}.log"));
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Error::io(format!("open {}", log.display())))?;
        let err = out.try_clone().map_err(Error::io(format!("open {}", log.display())))?;
        let child = Command::new(&program)
            .args(args)
            .envs(envs)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(Error::io(format!("start {name} ({})", program.as_ref().display())))?;
        watchdog::add_group(child.id());
        let group = Pid::from_child(&child);
        Ok(Process {
            name: name.to_owned(),
            child,
            group,
            log,
            ended: None,
        })
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The child's process id, which is its group's as well.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever had resident, in KiB, from the kernel; `None` if it has ended.
    pub fn most_resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Where its output goes.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All of its output so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of its output, for an error message.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// An error that says what `what` found wrong with this process, with its last lines.
    pub fn error(&self, what: &str) -> Error {
        let log = self.log.display();
        crate::error::failed(format!("{}: {what}; the end of {log}:", self.name), self.tail())
    }

    /// How it ended, or `None` while it runs (or is paused).
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let zombie = waitid(WaitId::Pid(self.group), look)
                .map_err(|errno| Error::io(format!("wait for {}", self.name))(errno.into()))?;
            if zombie.is_some() {
                self.reap()?;
            }
        }
        Ok(self.ended)
    }

    /// Whether it runs (or is paused).
    pub fn is_running(&mut self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// Waits until it has ended; an error with its last lines if it has not after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let ended = wait_until(timeout, &format!("{name} has ended"), || self.ended().transpose());
        match ended {
            Ok(status) => status,
            Err(error) => Err(self.error(&error.to_string())),
        }
    }

    /// Asks it to end (SIGTERM), as an orchestrator does.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends it at once (SIGKILL) and reaps it. One that has ended already stays as it is.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        self.reap()
    }

    /// Freezes it (SIGSTOP): its connections stay open and nothing answers, as on a machine that hangs. Waits until its last
    /// thread has stopped: the signal alone is only a request, and a thread that runs may answer once more.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let stopped_or_ended = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.group), stopped_or_ended)
            .map(drop)
            .map_err(|errno| Error::io(format!("wait until {} has stopped", self.name))(errno.into()))
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            return Err(self.error(&format!("has ended already ({status})")));
        }
        kill_process_group(self.group, signal)
            .map_err(|errno| Error::io(format!("send {signal:?} to {}", self.name))(errno.into()))
    }

    /// Kills what is left of the group, then reaps the child. In this order: until it is reaped, the id is its own.
    fn reap(&mut self) -> Result<()> {
        let _ = kill_process_group(self.group, Signal::KILL);
        let status = self
            .child
            .wait()
            .map_err(Error::io(format!("wait for {}", self.name)))?;
        self.ended = Some(status);
        watchdog::forget_group(self.child.id());
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("cannot clean up after {}: {error}", self.name);
        }
    }
}

/// Runs `command` to its end: its stdout, or an error with everything that it said.
pub(crate) fn output(command: &mut Command, what: &str) -> Result<String> {
    let output = command
        .output()
        .map_err(Error::io(format!("start {}", command.get_program().display())))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(crate::error::failed(
        format!("{what} ({})", output.status),
        stdout + &String::from_utf8_lossy(&output.stderr),
    ))
}
