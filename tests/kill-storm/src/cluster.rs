//! The processes of a run: a broker, the sample server and two processes per handler. Injects faults into them, and reports
//! those that exit unexpectedly.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use crate::options::Options;
use crate::schedule::{Action, SESSION_TIMEOUT, Step, Target};
use xact_testkit::events::DEAD_HOST;
use xact_testkit::managed_identity::{Answer, ManagedIdentity};
use xact_testkit::namespace::Namespace;
use xact_testkit::samples::{HOSTS, SampleServer};
use xact_testkit::stages::{STAGES, environment};
use xact_testkit::{Kafka, Result, WorkDir, ports};
use xact_testkit::{OneLakeServer, Running, Variables, command, variables};

/// Processes of each handler.
pub const PROCESSES_PER_HANDLER: usize = 2;
/// Retries per attachment. Their delays together last longer than a circuit breaker stays open; in production each single
/// delay does.
const MAX_RETRIES: u32 = 7;
/// Age from which the janitor deletes cached files that no message refers to.
pub const CACHE_RETENTION: Duration = Duration::from_secs(20);
/// `SHUTDOWN_GRACE_SECONDS` of the run.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Time within which a process must exit after SIGTERM: its grace period, the time in which its clients leave their groups,
/// and a margin for a busy machine.
const EXIT_TIMEOUT: Duration = Duration::from_secs(60);
/// Lifetime of the tokens of the identity: short enough that each is renewed several times in a storm.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);
/// Exit code of a process that did not drain within the grace period.
const EXIT_CODE_NOT_DRAINED: i32 = 1;

/// All processes.
pub struct Cluster {
    // Fields are dropped from top to bottom: the clients of the broker before the broker.
    handlers: Vec<Handler>,
    _samples: SampleServer,
    kafka: Kafka,
    lake: Option<OneLakeServer>,
    _identity: Option<ManagedIdentity>,
    environment: Variables,
    /// All output of the run except the data of the broker.
    pub dir: WorkDir,
    /// Number of injected faults by target and action.
    pub injected: BTreeMap<(&'static str, Action), usize>,
    /// Processes that exited without being asked to, with their exit status.
    pub unexpected_exits: Vec<String>,
    /// Number of processes that did not drain in time after SIGTERM.
    pub undrained: usize,
    /// Largest resident memory in KiB, by handler.
    pub resident: BTreeMap<&'static str, u64>,
}

/// A process of a handler and its expected state.
struct Handler {
    stage: &'static str,
    name: String,
    port: u16,
    running: Running,
    expected: Expected,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Running,
    Frozen,
    Killed,
    Exiting,
}

impl Cluster {
    /// Starts all processes and waits until they are ready.
    pub fn start(options: &Options) -> Result<Self> {
        let dir = WorkDir::new("storm")?;
        let samples = SampleServer::start(&dir)?;
        let (kafka, lake, identity, environment) = if options.azure {
            let namespace = Namespace::start()?;
            let lake = OneLakeServer::start(&dir)?;
            let mut environment = storm_environment(namespace.kafka.bootstrap(), &samples, &dir)?;
            // As in the deployment: the clients of Event Hubs do not create topics.
            command(&["topics", "create"], environment.clone(), &dir)?.success()?;
            let identity = namespace.identity("storm", Answer::Tokens(TOKEN_LIFETIME))?;
            environment.extend(namespace.by_identity(&identity));
            environment.extend(lake.variables(Some(namespace.certificate()))?);
            (namespace.kafka, Some(lake), Some(identity), environment)
        } else {
            let kafka = Kafka::start()?;
            let environment = storm_environment(kafka.bootstrap(), &samples, &dir)?;
            command(&["topics", "create"], environment.clone(), &dir)?.success()?;
            (kafka, None, None, environment)
        };
        let mut handlers = Vec::new();
        for (stage, _, _) in STAGES {
            for number in 1..=PROCESSES_PER_HANDLER {
                let (name, port) = (format!("{stage}-{number}"), ports::free()?);
                handlers.push(Handler {
                    running: Running::start_at(port, &name, stage, &[], environment.clone(), &dir)?,
                    stage,
                    name,
                    port,
                    expected: Expected::Running,
                });
            }
        }
        for handler in &mut handlers {
            handler.running.wait_ready()?;
        }
        Ok(Self {
            handlers,
            _samples: samples,
            kafka,
            lake,
            _identity: identity,
            environment,
            dir,
            injected: BTreeMap::new(),
            unexpected_exits: Vec::new(),
            undrained: 0,
            resident: BTreeMap::new(),
        })
    }

    /// Returns the number of handler processes.
    pub fn processes(&self) -> usize {
        self.handlers.len()
    }

    /// Returns the address of the broker.
    pub fn broker(&self) -> &str {
        self.kafka.bootstrap()
    }

    /// Returns the broker, for use with Kafka's own tools.
    pub const fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Returns the environment of all processes, which an operator's command needs too.
    pub const fn environment(&self) -> &Variables {
        &self.environment
    }

    /// Returns the name of a target.
    pub fn name(&self, target: Target) -> &str {
        match target {
            Target::Handler(number) => &self.handlers[number].name,
            Target::Broker => "broker",
            Target::Lake => "lake",
        }
    }

    /// Applies one step of the schedule.
    pub fn apply(&mut self, step: Step) -> Result<()> {
        *self.injected.entry((step.target.kind(), step.action)).or_default() += 1;
        match step.target {
            Target::Handler(number) => self.apply_to_handler(number, step.action),
            Target::Broker => match step.action {
                Action::Kill => self.kafka.kill(),
                Action::Freeze => self.kafka.pause(),
                Action::Resume => self.kafka.resume(),
                Action::Start => self.kafka.restart(),
                Action::Terminate => self.kafka.stop().map(drop),
            },
            Target::Lake => match &mut self.lake {
                None => Ok(()),
                Some(lake) => match step.action {
                    Action::Kill => lake.process().kill(),
                    Action::Freeze => lake.process().pause(),
                    Action::Resume => lake.process().resume(),
                    Action::Start => lake.restart(),
                    Action::Terminate => lake.process().terminate(),
                },
            },
        }
    }

    fn apply_to_handler(&mut self, number: usize, action: Action) -> Result<()> {
        self.check_process(number)?;
        let handler = &mut self.handlers[number];
        let process = &mut handler.running.process;
        match action {
            Action::Kill => {
                handler.expected = Expected::Killed;
                process.kill()
            }
            Action::Terminate => {
                handler.expected = Expected::Exiting;
                process.terminate()
            }
            Action::Freeze => {
                handler.expected = Expected::Frozen;
                process.pause()
            }
            Action::Resume => {
                handler.expected = Expected::Running;
                process.resume()
            }
            Action::Start => {
                if handler.expected == Expected::Exiting {
                    let status = process.wait(EXIT_TIMEOUT)?;
                    self.record_exit(number, status);
                }
                self.restart_handler(number)
            }
        }
    }

    fn restart_handler(&mut self, number: usize) -> Result<()> {
        let handler = &mut self.handlers[number];
        let environment = self.environment.clone();
        handler.running = Running::start_at(handler.port, &handler.name, handler.stage, &[], environment, &self.dir)?;
        handler.expected = Expected::Running;
        Ok(())
    }

    /// Checks every process: records its memory, and whether it is in its expected state. A process that exited unexpectedly is
    /// recorded and started again, so that the run can find further faults.
    pub fn watch(&mut self) -> Result<()> {
        for number in 0..self.handlers.len() {
            self.check_process(number)?;
        }
        Ok(())
    }

    fn check_process(&mut self, number: usize) -> Result<()> {
        let handler = &mut self.handlers[number];
        if let Some(kib) = handler.running.process.most_resident_kib() {
            let most = self.resident.entry(handler.stage).or_default();
            *most = kib.max(*most);
        }
        let Some(status) = handler.running.process.ended()? else {
            return Ok(());
        };
        match handler.expected {
            // Already reaped by the kill, or its exit status is checked when it is started again.
            Expected::Killed | Expected::Exiting => Ok(()),
            Expected::Running | Expected::Frozen => {
                self.unexpected_exits
                    .push(format!("{} exited unexpectedly: {status}", handler.name));
                self.restart_handler(number)
            }
        }
    }

    fn record_exit(&mut self, number: usize, status: ExitStatus) {
        match status.code() {
            Some(0) => {}
            Some(EXIT_CODE_NOT_DRAINED) => self.undrained += 1,
            _ => {
                let name = &self.handlers[number].name;
                self.unexpected_exits
                    .push(format!("{name} exited after SIGTERM with {status}"));
            }
        }
    }

    /// Stops all handlers with SIGTERM.
    pub fn stop(&mut self) -> Result<()> {
        self.watch()?;
        for handler in &mut self.handlers {
            handler.expected = Expected::Exiting;
            handler.running.process.terminate()?;
        }
        for number in 0..self.handlers.len() {
            let status = self.handlers[number].running.process.wait(EXIT_TIMEOUT)?;
            self.record_exit(number, status);
        }
        Ok(())
    }

    /// Returns the readiness of each process, to explain a run that hangs.
    pub fn readiness(&self) -> Vec<String> {
        let ready = |handler: &Handler| match handler.running.get("/health/ready") {
            Ok((200, _)) => format!("{}: ready", handler.name),
            Ok((status, body)) => format!("{}: {status} {}", handler.name, body.trim()),
            Err(error) => format!("{}: {error}", handler.name),
        };
        self.handlers.iter().map(ready).collect()
    }

    /// Returns name and log of every handler process.
    pub fn logs(&self) -> Vec<(String, String)> {
        let log = |handler: &Handler| (handler.name.clone(), handler.running.process.log());
        self.handlers.iter().map(log).collect()
    }
}

/// Returns the environment of the end-to-end tests with the settings of a storm.
fn storm_environment(broker: &str, samples: &SampleServer, dir: &WorkDir) -> Result<Variables> {
    let hosts: Vec<&str> = HOSTS.iter().copied().chain([DEAD_HOST]).collect();
    let mut resolve: Vec<String> = HOSTS.iter().map(|host| format!("{host}={}", samples.https)).collect();
    // A port that is reserved for this run and on which nothing listens.
    resolve.push(format!("{DEAD_HOST}=127.0.0.1:{}", ports::free()?));
    let mut all = environment(broker, samples, dir);
    // The last value of a name takes effect.
    all.extend(variables(&[
        ("ALLOWED_ATTACHMENT_DOMAINS", hosts.join(",")),
        ("DEV_RESOLVE", resolve.join(",")),
        ("MAX_RETRIES", MAX_RETRIES.to_string()),
        ("MAX_FILE_BYTES", "3000000".to_owned()),
        ("EVENT_BATCH_SECONDS", "1".to_owned()),
        ("RESULT_BATCH_SECONDS", "1".to_owned()),
        ("KAFKA_SESSION_TIMEOUT_MS", SESSION_TIMEOUT.as_millis().to_string()),
        ("CACHE_RETENTION_SECONDS", CACHE_RETENTION.as_secs().to_string()),
        ("SHUTDOWN_GRACE_SECONDS", SHUTDOWN_GRACE.as_secs().to_string()),
    ]));
    Ok(all)
}
