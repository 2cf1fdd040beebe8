//! The environment of an operator: a broker, a pipeline that can be started, and commands.

use crate::samples::SampleServer;
use crate::stages::environment;
use crate::{Answer, Running, Variables, command};
use crate::{Kafka, Result, WorkDir};

/// A broker and a sample server, with one environment for the pipeline and for commands.
pub struct Operator {
    /// The environment of pipeline and commands.
    pub environment: Variables,
    _samples: SampleServer,
    /// The broker, without topics at first.
    pub kafka: Kafka,
    /// Working directory of the commands, which also contains tables and files.
    pub dir: WorkDir,
}

impl Operator {
    /// Starts broker and sample server.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(name: &str) -> Result<Self> {
        let kafka = Kafka::start()?;
        let dir = WorkDir::new(name)?;
        let samples = SampleServer::start(&dir)?;
        Ok(Self {
            environment: environment(kafka.bootstrap(), &samples, &dir),
            _samples: samples,
            kafka,
            dir,
        })
    }

    /// Runs a command until it exits.
    ///
    /// # Errors
    /// When it cannot be started or does not exit.
    pub fn run(&self, args: &[&str]) -> Result<Answer> {
        command(args, self.environment.clone(), &self.dir)
    }

    /// Starts all stages in one process, and waits until they are ready.
    ///
    /// # Errors
    /// When they are not ready in time.
    pub fn pipeline(&self) -> Result<Running> {
        let mut running = Running::start("pipeline", "xact-pipeline", &[], self.environment.clone(), &self.dir)?;
        running.wait_ready()?;
        Ok(running)
    }
}
