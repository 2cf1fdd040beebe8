//! A process that serves `/health`, `/metrics` and `/invoke`: the whole pipeline, one worker, or a handler's binary.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::{Metrics, Variables, secrets};
use crate::{Process, Result, WorkDir, binary, http, ports, wait_until};

/// Time within which a process must become ready. The first rebalance of a group takes about 3 s.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The process and its address.
pub struct Running {
    /// The child process.
    pub process: Process,
    /// `127.0.0.1:port` of `METRICS_PORT`.
    pub address: String,
}

impl Running {
    /// Starts the workspace binary `program` in `dir` with a free `METRICS_PORT`; its output goes to `{name}.log`.
    ///
    /// # Errors
    /// When the binary is not built or cannot be started.
    pub fn start(name: &str, program: &str, args: &[&str], environment: Variables, dir: &WorkDir) -> Result<Self> {
        Self::start_at(ports::free()?, name, program, args, environment, dir)
    }

    /// Starts it with a given `METRICS_PORT`, so that a restarted process keeps its address.
    ///
    /// # Errors
    /// When the binary is not built or cannot be started.
    pub fn start_at(
        port: u16,
        name: &str,
        program: &str,
        args: &[&str],
        environment: Variables,
        dir: &WorkDir,
    ) -> Result<Self> {
        let mut environment = environment;
        environment.push(("METRICS_PORT".to_owned(), port.to_string()));
        Ok(Self {
            process: Process::spawn(name, binary(program)?, args, environment, dir.path())?,
            address: format!("127.0.0.1:{port}"),
        })
    }

    /// Waits until `/health/ready` returns 200.
    ///
    /// # Errors
    /// When the process exits or is not ready in time: with its reasons and the end of its log.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_ready_within(READY_TIMEOUT)
    }

    /// Waits for at most `limit`.
    ///
    /// # Errors
    /// As [`Running::wait_ready`].
    pub fn wait_ready_within(&mut self, limit: Duration) -> Result<()> {
        let name = self.process.name().to_owned();
        let mut last = String::from("no answer");
        let ready = wait_until(limit, &format!("{name} is ready"), || {
            if !self.process.is_running() {
                return Some(Err(self.process.error("ended before it was ready")));
            }
            match self.get("/health/ready") {
                Ok((200, _)) => Some(Ok(())),
                Ok((_, reasons)) => {
                    last = reasons;
                    None
                }
                Err(_) => None,
            }
        });
        ready.unwrap_or_else(|error| Err(self.process.error(&format!("{error}: {last}"))))
    }

    /// Sends GET for a path. Returns status and body.
    ///
    /// # Errors
    /// When the process does not respond.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let (status, body) = http::get(&self.address, path)?;
        secrets::assert_none(&format!("{path} of {}", self.process.name()), &body);
        Ok((status, body))
    }

    /// Returns the reasons why it is not ready; `None` if it is ready or does not respond.
    #[must_use]
    pub fn reasons(&self) -> Option<Value> {
        let (status, body) = self.get("/health/ready").ok()?;
        let reasons = serde_json::from_str::<Value>(&body).ok()?["reasons"].take();
        (status == 503).then_some(reasons)
    }

    /// Scrapes `/metrics`.
    ///
    /// # Errors
    /// When the process does not respond, or not with Prometheus text.
    pub fn metrics(&self) -> Result<Metrics> {
        let (status, text) = self.get("/metrics")?;
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// Sends SIGTERM and waits until it exits. Returns the exit code; `None` if a signal terminated it.
    ///
    /// # Errors
    /// When it has exited already, or does not exit within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<Option<i32>> {
        self.process.terminate()?;
        Ok(self.process.wait(limit)?.code())
    }
}

/// Checks in every test that its log contains no planted secret.
impl Drop for Running {
    fn drop(&mut self) {
        if !thread::panicking() {
            secrets::assert_none(&format!("the log of {}", self.process.name()), &self.process.log());
        }
    }
}
