//! The processes of a run: a broker, the sample server, two of each handler; struck, and watched for ending by themselves.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use crate::schedule::{Act, SESSION_TIMEOUT, Step, Target};
use xact_testkit::events::DEAD_HOST;
use xact_testkit::managed_identity::{Answer, ManagedIdentity};
use xact_testkit::namespace::Namespace;
use xact_testkit::samples::{HOSTS, SampleServer};
use xact_testkit::stages::{STAGES, environment};
use xact_testkit::{Kafka, Result, WorkDir, ports};
use xact_testkit::{OneLakeServer, Running, Variables, command, variables};

/// Processes of each handler.
pub const EACH: usize = 2;
/// Attempts after the first. Together they last longer than a breaker stays open, which in production every single
/// delay does.
const MAX_RETRIES: u32 = 7;
/// After so long the janitor takes what no message waits for.
pub const CACHE_RETENTION: Duration = Duration::from_secs(20);
/// `SHUTDOWN_GRACE_SECONDS` of the run.
const GRACE: Duration = Duration::from_secs(5);
/// Until a process that was asked to end has: its grace, what the clients take to leave their groups, and a busy machine.
const ENDED: Duration = Duration::from_secs(60);
/// Tokens of the identity live so long: each is renewed several times in a storm.
const TOKENS: Duration = Duration::from_secs(60);
/// Exit code of a process whose work outlasted the grace period.
const UNDRAINED: i32 = 1;

/// All processes.
pub struct Cluster {
    // Dropped from top to bottom: what uses the broker goes before it.
    handlers: Vec<Handler>,
    _samples: SampleServer,
    kafka: Kafka,
    lake: Option<OneLakeServer>,
    _identity: Option<ManagedIdentity>,
    environment: Variables,
    /// Everything that the run writes, but for the broker's data.
    pub dir: WorkDir,
    /// How often each blow was struck.
    pub struck: BTreeMap<(&'static str, Act), usize>,
    /// Processes that ended by themselves, and how.
    pub deaths: Vec<String>,
    /// Processes that ended after SIGTERM without having drained in time.
    pub undrained: usize,
    /// Largest resident memory seen, in KiB, by handler.
    pub resident: BTreeMap<&'static str, u64>,
}

/// One handler's process and what it must be doing.
struct Handler {
    stage: &'static str,
    name: String,
    port: u16,
    running: Running,
    expected: Expected,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Runs,
    IsFrozen,
    IsKilled,
    Ends,
}

impl Cluster {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(azure: bool) -> Result<Self> {
        let dir = WorkDir::new("storm")?;
        let samples = SampleServer::start(&dir)?;
        let (kafka, lake, identity, environment) = match azure {
            false => {
                let kafka = Kafka::start()?;
                let environment = storm_environment(kafka.bootstrap(), &samples, &dir)?;
                command(&["topics", "create"], environment.clone(), &dir)?.success()?;
                (kafka, None, None, environment)
            }
            true => {
                let namespace = Namespace::start()?;
                let lake = OneLakeServer::start(&dir)?;
                let mut environment = storm_environment(namespace.kafka.bootstrap(), &samples, &dir)?;
                // As the deployment does it: no client of Event Hubs creates topics.
                command(&["topics", "create"], environment.clone(), &dir)?.success()?;
                let identity = namespace.identity("storm", Answer::Tokens(TOKENS))?;
                environment.extend(namespace.by_identity(&identity));
                environment.extend(lake.variables(Some(namespace.certificate()))?);
                (namespace.kafka, Some(lake), Some(identity), environment)
            }
        };
        let mut handlers = Vec::new();
        for (stage, _, _) in STAGES {
            for number in 1..=EACH {
                let (name, port) = (format!("{stage}-{number}"), ports::free()?);
                handlers.push(Handler {
                    running: Running::start_at(port, &name, stage, &[], environment.clone(), &dir)?,
                    stage,
                    name,
                    port,
                    expected: Expected::Runs,
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
            struck: BTreeMap::new(),
            deaths: Vec::new(),
            undrained: 0,
            resident: BTreeMap::new(),
        })
    }

    /// How many processes the handlers have.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.handlers.len()
    }

    /// The broker's address.
    #[must_use]
    pub fn broker(&self) -> &str {
        self.kafka.bootstrap()
    }

    /// For Kafka's own tools.
    #[must_use]
    pub const fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// What an operator's command must know.
    #[must_use]
    pub const fn environment(&self) -> &Variables {
        &self.environment
    }

    /// Name of a target.
    #[must_use]
    pub fn name(&self, target: Target) -> &str {
        match target {
            Target::Handler(number) => &self.handlers[number].name,
            Target::Broker => "broker",
            Target::Lake => "lake",
        }
    }

    /// Does one step of the schedule.
    ///
    /// # Errors
    /// When the machine refuses, or a process does not end that was asked to.
    pub fn strike(&mut self, step: Step) -> Result<()> {
        *self.struck.entry((step.target.kind(), step.act)).or_default() += 1;
        match step.target {
            Target::Handler(number) => self.strike_handler(number, step.act),
            Target::Broker => match step.act {
                Act::Kill => self.kafka.kill(),
                Act::Freeze => self.kafka.pause(),
                Act::Thaw => self.kafka.resume(),
                Act::Start => self.kafka.restart(),
                Act::Terminate => self.kafka.stop().map(drop),
            },
            Target::Lake => match &mut self.lake {
                None => Ok(()),
                Some(lake) => match step.act {
                    Act::Kill => lake.process().kill(),
                    Act::Freeze => lake.process().pause(),
                    Act::Thaw => lake.process().resume(),
                    Act::Start => lake.restart(),
                    Act::Terminate => lake.process().terminate(),
                },
            },
        }
    }

    fn strike_handler(&mut self, number: usize, act: Act) -> Result<()> {
        self.look_at(number)?;
        let handler = &mut self.handlers[number];
        let process = &mut handler.running.process;
        match act {
            Act::Kill => {
                handler.expected = Expected::IsKilled;
                process.kill()
            }
            Act::Terminate => {
                handler.expected = Expected::Ends;
                process.terminate()
            }
            Act::Freeze => {
                handler.expected = Expected::IsFrozen;
                process.pause()
            }
            Act::Thaw => {
                handler.expected = Expected::Runs;
                process.resume()
            }
            Act::Start => {
                if handler.expected == Expected::Ends {
                    let status = process.wait(ENDED)?;
                    self.judge_end(number, status);
                }
                self.start_again(number)
            }
        }
    }

    fn start_again(&mut self, number: usize) -> Result<()> {
        let handler = &mut self.handlers[number];
        let environment = self.environment.clone();
        handler.running = Running::start_at(handler.port, &handler.name, handler.stage, &[], environment, &self.dir)?;
        handler.expected = Expected::Runs;
        Ok(())
    }

    /// Looks at every process: how much memory it has taken, and whether it still does what it must. One that ended by
    /// itself is noted and started again: the run shall show what else there is.
    ///
    /// # Errors
    /// When a process cannot be started again.
    pub fn watch(&mut self) -> Result<()> {
        for number in 0..self.handlers.len() {
            self.look_at(number)?;
        }
        Ok(())
    }

    fn look_at(&mut self, number: usize) -> Result<()> {
        let handler = &mut self.handlers[number];
        if let Some(kib) = handler.running.process.most_resident_kib() {
            let most = self.resident.entry(handler.stage).or_default();
            *most = kib.max(*most);
        }
        let Some(status) = handler.running.process.ended()? else {
            return Ok(());
        };
        match handler.expected {
            // Reaped by whoever killed it, or judged when it is started again.
            Expected::IsKilled | Expected::Ends => Ok(()),
            Expected::Runs | Expected::IsFrozen => {
                self.deaths.push(format!("{} ended by itself: {status}", handler.name));
                self.start_again(number)
            }
        }
    }

    fn judge_end(&mut self, number: usize, status: ExitStatus) {
        match status.code() {
            Some(0) => {}
            Some(UNDRAINED) => self.undrained += 1,
            _ => {
                let name = &self.handlers[number].name;
                self.deaths.push(format!("{name} ended after SIGTERM with {status}"));
            }
        }
    }

    /// Ends all handlers as an operator would.
    ///
    /// # Errors
    /// When one does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.watch()?;
        for handler in &mut self.handlers {
            handler.expected = Expected::Ends;
            handler.running.process.terminate()?;
        }
        for number in 0..self.handlers.len() {
            let status = self.handlers[number].running.process.wait(ENDED)?;
            self.judge_end(number, status);
        }
        Ok(())
    }

    /// What each process says of its readiness, for a run that hangs.
    #[must_use]
    pub fn readiness(&self) -> Vec<String> {
        let ready = |handler: &Handler| match handler.running.get("/health/ready") {
            Ok((200, _)) => format!("{}: ready", handler.name),
            Ok((status, body)) => format!("{}: {status} {}", handler.name, body.trim()),
            Err(error) => format!("{}: {error}", handler.name),
        };
        self.handlers.iter().map(ready).collect()
    }

    /// The log of every handler, with its name.
    #[must_use]
    pub fn logs(&self) -> Vec<(String, String)> {
        let log = |handler: &Handler| (handler.name.clone(), handler.running.process.log());
        self.handlers.iter().map(log).collect()
    }
}

/// The environment of the end-to-end tests, with what a storm needs.
fn storm_environment(broker: &str, samples: &SampleServer, dir: &WorkDir) -> Result<Variables> {
    let hosts: Vec<&str> = HOSTS.iter().copied().chain([DEAD_HOST]).collect();
    let mut resolve: Vec<String> = HOSTS.iter().map(|host| format!("{host}={}", samples.https)).collect();
    // Reserved for this run, and nobody listens there.
    resolve.push(format!("{DEAD_HOST}=127.0.0.1:{}", ports::free()?));
    let mut all = environment(broker, samples, dir);
    // The last one of a name counts.
    all.extend(variables(&[
        ("ALLOWED_ATTACHMENT_DOMAINS", hosts.join(",")),
        ("DEV_RESOLVE", resolve.join(",")),
        ("MAX_RETRIES", MAX_RETRIES.to_string()),
        ("MAX_FILE_BYTES", "3000000".to_owned()),
        ("EVENT_BATCH_SECONDS", "1".to_owned()),
        ("RESULT_BATCH_SECONDS", "1".to_owned()),
        ("KAFKA_SESSION_TIMEOUT_MS", SESSION_TIMEOUT.as_millis().to_string()),
        ("CACHE_RETENTION_SECONDS", CACHE_RETENTION.as_secs().to_string()),
        ("SHUTDOWN_GRACE_SECONDS", GRACE.as_secs().to_string()),
    ]));
    Ok(all)
}
