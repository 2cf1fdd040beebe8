//! A child process under test: its output goes to a file, it can be killed and frozen, and it never outlives its owner.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::{Error, Result, failed, wait_until, watchdog};

/// Number of lines of the log in an error.
const TAIL_LINES: usize = 40;

/// A running (or exited) child in its own process group. Signals go to the whole group, including children of the child.
/// Dropping it kills the group and reaps the child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
    /// Set once the child is reaped: from then on its id may be reused and must not be signalled.
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

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its process id, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns its peak resident memory in KiB as counted by the kernel; `None` if it has exited.
    pub fn most_resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Returns the path of its log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Returns its output so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Returns the last lines of its output, for an error message.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Returns an error about this process with its last lines.
    pub fn error(&self, what: &str) -> Error {
        let log = self.log.display();
        failed(format!("{}: {what}; the end of {log}:", self.name), self.tail())
    }

    /// Returns its exit status, or `None` while it runs (or is paused).
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

    /// Returns whether it runs (or is paused).
    pub fn is_running(&mut self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// Waits until it has exited. Fails after `timeout` with its last lines.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let ended = wait_until(timeout, &format!("{name} has ended"), || self.ended().transpose());
        match ended {
            Ok(status) => status,
            Err(error) => Err(self.error(&error.to_string())),
        }
    }

    /// Sends SIGTERM, as an orchestrator does.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills it (SIGKILL) and reaps it. Does nothing if it has exited already.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        self.reap()
    }

    /// Freezes it (SIGSTOP): its connections stay open but do not respond, as on a machine that hangs. Waits until its last thread
    /// has stopped: the signal alone is only a request, and a running thread may still respond.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let stopped_or_ended = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.group), stopped_or_ended)
            .map(drop)
            .map_err(|errno| Error::io(format!("wait until {} has stopped", self.name))(errno.into()))
    }

    /// Resumes it (SIGCONT).
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

    /// Kills the rest of the group, then reaps the child: until it is reaped, its id is not reused.
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

/// Runs `command` until it exits. Returns its stdout, or an error with its whole output.
pub(crate) fn output(command: &mut Command, what: &str) -> Result<String> {
    output_of(command, &[], what)
}

/// Runs `command` with `input` as standard input until it exits. Returns its stdout, or an error with its whole output.
pub(crate) fn output_of(command: &mut Command, input: &[u8], what: &str) -> Result<String> {
    let output = run(command, input)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let detail = stdout + &String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{what} ({})", output.status), detail))
}

/// Runs `command` with `input` as standard input until it exits.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Result<Output> {
    let program = command.get_program().display().to_string();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io(format!("start {program}")))?;
    let mut stdin = child.stdin.take();
    thread::scope(|scope| {
        // A broken pipe means that the program has exited; its error output has the reason.
        scope.spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(input)));
        child
            .wait_with_output()
            .map_err(Error::io(format!("wait for {program}")))
    })
}
