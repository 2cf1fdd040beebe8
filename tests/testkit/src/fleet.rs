//! A fleet: handlers as separate processes with their own topics, groups, cache and lake, so that several fleets can share a
//! broker without affecting each other.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::path::PathBuf;

use serde_json::Value;

use crate::command::{self, Answer};
use crate::compare;
use crate::events::event;
use crate::kcat::{self, Record};
use crate::pipeline::{audit_lines, files_below, read_tables};
use crate::running::STOP_TIMEOUT;
use crate::samples::SampleServer;
use crate::sent::Sent;
use crate::stages::{self, environment};
use crate::tables::Tables;
use crate::wait::TIMEOUT;
use crate::{Kafka, Result, Running, Variables, WorkDir, context, failed, variables, wait_until};

/// The processes and their shared resources.
pub struct Fleet {
    // Fields are dropped from top to bottom: the processes before the servers that they use.
    handlers: BTreeMap<String, Running>,
    /// The server of the attachments.
    pub samples: SampleServer,
    /// The environment of every process and command.
    pub environment: Variables,
    /// `host:port` of the broker.
    pub broker: String,
    /// The events of [`Fleet::send_event`].
    pub sent: Vec<Sent>,
    name: String,
    /// The folder of all files.
    pub dir: WorkDir,
}

impl Fleet {
    /// Creates a fleet without processes and topics. `settings` are added to [`environment`]. The fleet `xact` has the names of
    /// the deployment.
    pub fn without_topics(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let dir = WorkDir::new(name)?;
        let samples = SampleServer::start(&dir)?;
        let mut all = environment(broker, &samples, &dir);
        all.extend(variables(&[
            ("EVENTHUB_EVENTS_TOPIC", format!("{name}.events.raw")),
            ("EVENTHUB_CONSUMER_GROUP", format!("{name}-event-ingester")),
            ("KAFKA_DOWNLOADS_PENDING_TOPIC", format!("{name}.downloads.pending")),
            ("KAFKA_DOWNLOADS_CACHED_TOPIC", format!("{name}.downloads.cached")),
            ("KAFKA_DOWNLOADS_RESULTS_TOPIC", format!("{name}.downloads.results")),
            ("KAFKA_DLQ_TOPIC", format!("{name}.downloads.dlq")),
            ("KAFKA_CONSUMER_GROUP_PREFIX", name.to_owned()),
        ]));
        // The last value of a name takes effect.
        all.extend(variables(settings));
        Ok(Self {
            handlers: BTreeMap::new(),
            samples,
            environment: all,
            broker: broker.to_owned(),
            sent: Vec::new(),
            name: name.to_owned(),
            dir,
        })
    }

    /// Creates a fleet with its topics and without processes.
    pub fn new(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let fleet = Self::without_topics(broker, name, settings)?;
        fleet.run(&["topics", "create"])?.success()?;
        Ok(fleet)
    }

    /// Creates a fleet with its topics on the shared broker of this test program.
    pub fn shared(name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::new(Kafka::shared()?.bootstrap(), name, settings)
    }

    /// Creates a fleet with its topics and one process of every stage, and waits until all are ready.
    pub fn whole(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut fleet = Self::new(broker, name, settings)?;
        fleet.start_all()?;
        Ok(fleet)
    }

    /// Starts or restarts a process of every stage, and waits until all are ready.
    pub fn start_all(&mut self) -> Result<()> {
        self.start(&stages::names())
    }

    /// Starts or restarts a process of each of these stages, and waits until all are ready.
    pub fn start(&mut self, stages: &[&str]) -> Result<()> {
        for stage in stages {
            self.spawn(stage, stage, &[])?;
        }
        self.wait_ready(stages)
    }

    /// Starts a process of a stage under `name` and does not wait. A process of that name is killed first.
    pub fn spawn(&mut self, name: &str, stage: &str, settings: &[(&str, &str)]) -> Result<()> {
        self.spawn_with(name, stage, &[], settings)
    }

    /// Starts a workspace binary with `args` under `name` and does not wait. A process of that name is killed first.
    pub fn spawn_with(&mut self, name: &str, program: &str, args: &[&str], settings: &[(&str, &str)]) -> Result<()> {
        drop(self.handlers.remove(name));
        let mut environment = self.environment.clone();
        environment.extend(variables(settings));
        self.adopt(Running::start(name, program, args, environment, &self.dir)?);
        Ok(())
    }

    /// Starts all stages in one process named `pipeline`, and waits until it is ready.
    pub fn start_pipeline(&mut self) -> Result<()> {
        self.spawn("pipeline", "xact-pipeline", &[])?;
        self.wait_ready(&["pipeline"])
    }

    /// Waits until these processes are ready.
    pub fn wait_ready(&mut self, names: &[impl AsRef<str>]) -> Result<()> {
        names.iter().try_for_each(|name| self[name.as_ref()].wait_ready())
    }

    /// Stops processes as an autoscaler does, with SIGTERM, and waits until all have drained, committed and left their
    /// groups. Each must exit with 0.
    pub fn stop(&mut self, names: &[impl AsRef<str>]) -> Result<()> {
        for name in names {
            self[name.as_ref()].process.terminate()?;
        }
        for name in names.iter().map(AsRef::as_ref) {
            let status = self[name].process.wait(STOP_TIMEOUT)?;
            if !status.success() {
                return Err(self[name].process.error(&format!("did not end well ({status})")));
            }
            drop(self.handlers.remove(name));
        }
        Ok(())
    }

    /// Adds a process that was started elsewhere, under its own name.
    pub fn adopt(&mut self, running: Running) {
        self.handlers.insert(running.process.name().to_owned(), running);
    }

    /// Returns all processes by name.
    pub const fn handlers(&self) -> &BTreeMap<String, Running> {
        &self.handlers
    }

    /// Runs a command of `xact-pipeline` until it exits.
    pub fn run(&self, args: &[&str]) -> Result<Answer> {
        command::command(args, self.environment.clone(), &self.dir)
    }

    /// Runs a command with further settings.
    pub fn run_with(&self, args: &[&str], settings: &[(&str, &str)]) -> Result<Answer> {
        let mut environment = self.environment.clone();
        environment.extend(variables(settings));
        command::command(args, environment, &self.dir)
    }

    /// Returns the name of a topic; `role` is `raw`, or the part after `xact.downloads.` of the default name.
    pub fn topic(&self, role: &str) -> String {
        match role {
            "raw" => format!("{}.events.raw", self.name),
            other => format!("{}.downloads.{other}", self.name),
        }
    }

    /// Returns the name of a consumer group, given its default name with or without `xact-`.
    pub fn group(&self, group: &str) -> String {
        format!("{}-{}", self.name, group.trim_start_matches("xact-"))
    }

    /// Sends a record to one of its topics.
    pub fn send(&self, topic: &str, key: &str, value: &[u8]) -> Result<()> {
        kcat::produce(&self.broker, &self.topic(topic), key, value)
    }

    /// Sends records in this order to one of its topics. Values must not contain line breaks.
    pub fn send_all<K: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        kcat::produce_to(&self.broker, &self.topic(topic), None, records)
    }

    /// Sends an event with these attachments, which [`Fleet::assert_exactly_what_was_sent`] expects.
    pub fn send_event(&mut self, trace_id: &str, urls: &Value) -> Result<()> {
        let event = event(trace_id, urls);
        self.sent.push(Sent::read(trace_id, &event));
        self.send("raw", trace_id, &event)
    }

    /// Returns all records of one of its topics.
    pub fn records(&self, topic: &str) -> Result<Vec<Record>> {
        kcat::consume(&self.broker, &self.topic(topic))
    }

    /// Returns the messages of one of its topics.
    pub fn messages(&self, topic: &str) -> Result<Vec<Value>> {
        let read = |record: &Record| {
            serde_json::from_slice(&record.value).map_err(context(String::from_utf8_lossy(&record.value)))
        };
        self.records(topic)?.iter().map(read).collect()
    }

    /// Waits for a condition. The error contains the reasons and the log of every process.
    pub fn wait_until<T>(&self, what: &str, check: impl FnMut() -> Option<T>) -> Result<T> {
        wait_until(TIMEOUT, what, check).map_err(|error| {
            let errors = self.handlers.values().map(|it| it.error(&error).to_string());
            failed(error.to_string(), errors.collect::<Vec<_>>().join("\n"))
        })
    }

    /// Waits until one of its topics has this number of records, and returns them.
    pub fn wait_records(&self, topic: &str, count: usize) -> Result<Vec<Record>> {
        let records = self.wait_until(&format!("{topic} has {count} records"), || {
            self.records(topic).ok().filter(|records| records.len() >= count)
        })?;
        if records.len() == count {
            return Ok(records);
        }
        Err(failed(
            format!("{topic} has more than {count} records"),
            format!("{records:?}"),
        ))
    }

    /// Waits until its audit log has this number of lines.
    pub fn wait_audit(&self, lines: usize) -> Result<()> {
        self.wait_until(&format!("the audit log has {lines} lines"), || {
            (self.audit().ok()?.len() == lines).then_some(())
        })
    }

    /// Waits until none of its groups has lag.
    pub fn wait_no_lag(&self) -> Result<()> {
        command::wait_no_lag(&self.environment, &self.dir)
    }

    /// Reads its tables with the Python readers, which reject duplicate keys.
    pub fn tables(&self) -> Result<Tables> {
        read_tables(&self.dir.join("tables"))
    }

    /// Panics unless rows and files are those of the events of [`Fleet::send_event`].
    pub fn assert_exactly_what_was_sent(&mut self) -> Result<()> {
        self.samples.fill_in(&mut self.sent)?;
        compare::assert_exactly_what_was_sent(&self.sent, &self.tables()?, &self.files());
        Ok(())
    }

    /// Panics if a dead letter or a file in the cache is left.
    pub fn assert_nothing_is_left(&self) -> Result<()> {
        assert_eq!(self.records("dlq")?, [], "dead letters");
        assert_eq!(self.cached(), Vec::<PathBuf>::new(), "files in the cache");
        Ok(())
    }

    /// Returns the root of its files in the lake.
    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// Returns the files that are in its cache now.
    pub fn cached(&self) -> Vec<PathBuf> {
        files_below(&self.dir.join("cache"))
    }

    /// Returns the lines of its audit log.
    pub fn audit(&self) -> Result<Vec<Value>> {
        audit_lines(&self.dir.join("audit.jsonl"))
    }
}

/// Returns the process of this name. Panics if none was started.
impl Index<&str> for Fleet {
    type Output = Running;

    fn index(&self, name: &str) -> &Running {
        &self.handlers[name]
    }
}

impl IndexMut<&str> for Fleet {
    fn index_mut(&mut self, name: &str) -> &mut Running {
        match self.handlers.get_mut(name) {
            Some(running) => running,
            None => panic!("{name} was not started"),
        }
    }
}
