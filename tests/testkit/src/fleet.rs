//! A fleet: handlers as separate processes with their own topics, groups, cache and lake, so that several fleets can share a
//! broker without affecting each other.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::command::wait_no_lag_of;
use crate::pipeline::{audit_lines, files_below, read_tables};
use crate::samples::SampleServer;
use crate::stages::{STAGES, environment};
use crate::{Result, WorkDir, tables};
use crate::{Running, Variables, command, failed, kcat, variables};

/// The processes and their shared resources.
pub struct Fleet {
    // Fields are dropped from top to bottom: the processes before the servers that they use.
    handlers: BTreeMap<String, Running>,
    /// The server of the attachments.
    pub samples: SampleServer,
    /// The environment of every process.
    pub environment: Variables,
    /// `host:port` of the broker.
    pub broker: String,
    name: String,
    /// The folder of all files.
    pub dir: WorkDir,
}

impl Fleet {
    /// Creates a fleet without processes and topics. `settings` are added to [`environment`].
    ///
    /// # Errors
    /// When the sample server does not start.
    pub fn new(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
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
            name: name.to_owned(),
            dir,
        })
    }

    /// Creates a fleet with its topics and one process of every stage, and waits until all are ready.
    ///
    /// # Errors
    /// When a process does not become ready.
    pub fn whole(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut fleet = Self::new(broker, name, settings)?;
        fleet.create_topics()?;
        fleet.start(&STAGES.map(|(stage, _, _)| stage))?;
        Ok(fleet)
    }

    /// Creates all topics with the product's command.
    ///
    /// # Errors
    /// When the command fails.
    pub fn create_topics(&self) -> Result<()> {
        command(&["topics", "create"], self.environment.clone(), &self.dir)?
            .success()
            .map(drop)
    }

    /// Starts or restarts a process of each of these stages, and waits until all are ready.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn start(&mut self, stages: &[&str]) -> Result<()> {
        for stage in stages {
            self.spawn(stage, stage, &[])?;
        }
        for stage in stages {
            self[stage].wait_ready()?;
        }
        Ok(())
    }

    /// Starts a process of a stage under `name` and does not wait. A process of that name is killed first.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, name: &str, stage: &str, settings: &[(&str, &str)]) -> Result<()> {
        drop(self.handlers.remove(name));
        let mut environment = self.environment.clone();
        environment.extend(variables(settings));
        let running = Running::start(name, stage, &[], environment, &self.dir)?;
        self.handlers.insert(name.to_owned(), running);
        Ok(())
    }

    /// Stops processes as an autoscaler does, with SIGTERM, and waits until all have drained, committed and left their
    /// groups.
    ///
    /// # Errors
    /// When one does not exit with 0 within `limit`.
    pub fn stop(&mut self, names: &[&str], limit: Duration) -> Result<()> {
        for name in names {
            self[name].process.terminate()?;
        }
        for name in names {
            let status = self[name].process.wait(limit)?;
            if !status.success() {
                return Err(self[name].process.error(&format!("did not end well ({status})")));
            }
            drop(self.handlers.remove(*name));
        }
        Ok(())
    }

    /// Adds a process that was started elsewhere, under its own name.
    pub fn adopt(&mut self, running: Running) {
        self.handlers.insert(running.process.name().to_owned(), running);
    }

    /// Returns all processes by name.
    #[must_use]
    pub const fn handlers(&self) -> &BTreeMap<String, Running> {
        &self.handlers
    }

    /// Returns the name of a topic; `role` is `raw`, or the part after `xact.downloads.` of the default name.
    #[must_use]
    pub fn topic(&self, topic: &str) -> String {
        match topic {
            "raw" => format!("{}.events.raw", self.name),
            other => format!("{}.downloads.{other}", self.name),
        }
    }

    /// Returns the name of a consumer group, given the part after `xact-` of the default name.
    #[must_use]
    pub fn group(&self, group: &str) -> String {
        format!("{}-{group}", self.name)
    }

    /// Sends a record to one of its topics.
    ///
    /// # Errors
    /// When kcat fails.
    pub fn send(&self, topic: &str, key: &str, value: &[u8]) -> Result<()> {
        kcat::produce(&self.broker, &self.topic(topic), key, value)
    }

    /// Returns all records of one of its topics.
    ///
    /// # Errors
    /// When kcat fails.
    pub fn records(&self, topic: &str) -> Result<Vec<kcat::Record>> {
        kcat::consume(&self.broker, &self.topic(topic))
    }

    /// Returns the messages of one of its topics.
    ///
    /// # Errors
    /// When one is not JSON.
    pub fn messages(&self, topic: &str) -> Result<Vec<Value>> {
        let records = self.records(topic)?;
        records
            .iter()
            .map(|record| {
                serde_json::from_slice(&record.value)
                    .map_err(|error| failed(error.to_string(), String::from_utf8_lossy(&record.value)))
            })
            .collect()
    }

    /// Waits until none of its groups has lag.
    ///
    /// # Errors
    /// When one still has lag after `limit`.
    pub fn wait_no_lag(&self, limit: Duration) -> Result<()> {
        wait_no_lag_of(limit, &self.environment, &self.dir)
    }

    /// Reads its tables with the Python readers, which reject duplicate keys.
    ///
    /// # Errors
    /// When a reader fails.
    pub fn tables(&self) -> Result<tables::Tables> {
        read_tables(&self.dir.join("tables"))
    }

    /// Returns the root of its files in the lake.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// Returns the files that are in its cache now.
    #[must_use]
    pub fn cached(&self) -> Vec<PathBuf> {
        files_below(&self.dir.join("cache"))
    }

    /// Returns the lines of its audit log.
    ///
    /// # Errors
    /// When a line is not JSON.
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
