//! A process that serves `/health`, `/metrics` and `/invoke`: the whole pipeline, one worker, or a handler's binary.

use std::fmt::Display;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::wait::TIMEOUT;
use crate::{Error, Metrics, Process, Result, Variables, binary, http, ports, secrets, wait_until};

/// Time within which a process must become ready. The first rebalance of a group takes about 3 s.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Time within which a process must exit after SIGTERM: the default of `SHUTDOWN_GRACE_SECONDS`, and ten seconds in which its
/// clients leave their groups.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(35);

/// The process and its address.
pub struct Running {
    /// The child process.
    pub process: Process,
    /// `127.0.0.1:port` of `METRICS_PORT`.
    pub address: String,
}

impl Running {
    /// Starts the workspace binary `program` in `dir` with a free `METRICS_PORT`; its output goes to `{name}.log`.
    pub fn start(name: &str, program: &str, args: &[&str], environment: Variables, dir: &Path) -> Result<Self> {
        Self::start_at(ports::free()?, name, program, args, environment, dir)
    }

    /// Starts it with a given `METRICS_PORT`, so that a restarted process keeps its address.
    pub fn start_at(
        port: u16,
        name: &str,
        program: &str,
        args: &[&str],
        mut environment: Variables,
        dir: &Path,
    ) -> Result<Self> {
        environment.push(("METRICS_PORT".to_owned(), port.to_string()));
        Ok(Self {
            process: Process::spawn(name, binary(program)?, args, environment, dir)?,
            address: format!("127.0.0.1:{port}"),
        })
    }

    /// Waits until `/health/ready` returns 200.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_ready_within(READY_TIMEOUT)
    }

    /// Waits until it is ready, for at most `limit`. Fails when the process exits.
    pub fn wait_ready_within(&mut self, limit: Duration) -> Result<()> {
        let name = self.process.name().to_owned();
        let ready = wait_until(limit, &format!("{name} is ready"), || {
            if !self.process.is_running() {
                return Some(Err(self.process.error("ended before it was ready")));
            }
            matches!(self.get("/health/ready"), Ok((200, _))).then_some(Ok(()))
        });
        ready.unwrap_or_else(|error| Err(self.error(&error)))
    }

    /// Waits for a condition. The error contains the reasons why the process is not ready, and the end of its log.
    pub fn wait_until<T>(&self, what: &str, check: impl FnMut() -> Option<T>) -> Result<T> {
        wait_until(TIMEOUT, what, check).map_err(|error| self.error(&error))
    }

    /// Returns an error about this process, with the reasons why it is not ready and the end of its log.
    pub fn error(&self, what: &impl Display) -> Error {
        let reasons = self.reasons().unwrap_or_default();
        self.process
            .error(&format!("{what}; reasons for not being ready: {reasons}"))
    }

    /// Sends GET for a path. Returns status and body.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let (status, body) = http::get(&self.address, path)?;
        secrets::assert_none(&format!("{path} of {}", self.process.name()), &body);
        Ok((status, body))
    }

    /// Returns the reasons why it is not ready; `None` if it is ready or does not respond.
    pub fn reasons(&self) -> Option<Value> {
        let (status, body) = self.get("/health/ready").ok()?;
        let reasons = serde_json::from_str::<Value>(&body).ok()?["reasons"].take();
        (status == 503).then_some(reasons)
    }

    /// Scrapes `/metrics`.
    pub fn metrics(&self) -> Result<Metrics> {
        let (status, text) = self.get("/metrics")?;
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// Returns the warnings and errors in its log from this size of the log on.
    pub fn warnings_after(&self, logged: usize) -> Vec<String> {
        let is_warning = |line: &&str| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"");
        let log = self.process.log();
        log[logged..].lines().filter(is_warning).map(str::to_owned).collect()
    }

    /// Returns the sum of the samples of a metric that have all of these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        Ok(self.metrics()?.sum(name, labels))
    }

    /// Waits until a metric has this sum over all of its samples.
    pub fn wait_sum(&self, name: &str, expected: f64) -> Result<()> {
        self.wait_until(&format!("{name} is {expected}"), || {
            (self.sum(name, &[]).ok()? == expected).then_some(())
        })
    }

    /// Sends SIGTERM and waits until it exits, with 0.
    pub fn stop(&mut self) -> Result<()> {
        match self.terminate(STOP_TIMEOUT)? {
            Some(0) => Ok(()),
            code => Err(self.process.error(&format!("exited with {code:?}"))),
        }
    }

    /// Sends SIGTERM and waits until it exits. Returns the exit code; `None` if a signal terminated it.
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
