//! What an operator has before him: a broker, a pipeline that can be started, and commands about both.

use crate::samples::SampleServer;
use crate::stages::environment;
use crate::{Answer, Running, Variables, command};
use crate::{Kafka, Result, WorkDir};

/// A broker and a sample server, with one environment for the pipeline and for commands.
pub struct Operator {
    /// That environment.
    pub environment: Variables,
    _samples: SampleServer,
    /// The broker, without topics at first.
    pub kafka: Kafka,
    /// Where the commands run, and where the tables and files are.
    pub dir: WorkDir,
}

impl Operator {
    /// Starts broker and server.
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

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started, or does not end.
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
